package probe_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/bench/testport"
	"github.com/l4fwd/l4fwd/health/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listens accepts connections and gives each to f.
func listens(t *testing.T, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// within is a context that ends soon enough for a test that waits for its end.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	return netip.MustParseAddrPort(testport.Free(t))
}

func startStandin(t *testing.T, o standin.Options) *standin.Server {
	t.Helper()
	s, err := standin.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestTCP(t *testing.T) {
	addr := listens(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	r, err := probe.TCP(t.Context(), addr)
	require.NoError(t, err)
	require.Equal(t, addr, r.Remote)
	require.Equal(t, "127.0.0.1", r.Local.Addr().String())
	require.NotZero(t, r.Took)

	r, err = probe.TCP(t.Context(), closedPort(t))
	require.EqualError(t, err, "connect: connection refused")
	require.False(t, r.Local.IsValid())
	require.NotZero(t, r.Took)

	_, err = probe.TCP(within(t, 30*time.Millisecond), netip.MustParseAddrPort("192.0.2.1:443")) // documentation: nobody answers
	require.Error(t, err)
	require.NotContains(t, err.Error(), "192.0.2.1", "the address stands beside it")
}

func TestTLS(t *testing.T) {
	s := startStandin(t, standin.Options{})
	good := probe.TLSRequest{Addr: s.Addr(), ServerName: standin.Name, Roots: s.RootCAs()}
	r, err := probe.TLS(t.Context(), good)
	require.NoError(t, err)
	require.Equal(t, "TLS 1.3", r.Version)
	require.True(t, strings.HasPrefix(r.Cipher, "TLS_"), r.Cipher)
	require.Contains(t, r.Certificate.Names, standin.Name)
	require.Contains(t, r.Certificate.Names, "127.0.0.1")
	require.Contains(t, r.Certificate.Subject, "CN=*.openai.azure.com")
	require.Contains(t, r.Certificate.Issuer, "stand-in CA")
	require.True(t, r.Certificate.NotBefore.Before(r.Certificate.NotAfter))
	require.NotZero(t, r.Took)
	require.Equal(t, s.Addr(), r.TCP.Remote)

	byAddress := good
	byAddress.ServerName = "127.0.0.1"
	_, err = probe.TLS(t.Context(), byAddress)
	require.NoError(t, err)

	other := good
	other.ServerName = "www.example.com"
	r, err = probe.TLS(t.Context(), other)
	require.ErrorContains(t, err, "tls handshake with www.example.com: tls: failed to verify certificate: x509: certificate is valid for *.openai.azure.com")
	require.Contains(t, r.Certificate.Names, standin.Name, "what came is shown")

	stranger := good
	stranger.Roots = nil
	_, err = probe.TLS(t.Context(), stranger)
	require.ErrorContains(t, err, "signed by unknown authority")
}

func TestTLSWithWhatIsNoTLSServer(t *testing.T) {
	for name, c := range map[string]struct {
		f    func(net.Conn)
		want string
	}{
		"HTTP":   {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }, "first record does not look like a TLS handshake"},
		"closed": {func(net.Conn) {}, "tls handshake with www.example.com: "},
		"reset":  {func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }, "connection reset by peer"},
		"silent": {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, "tls handshake with www.example.com: no answer in "},
	} {
		t.Run(name, func(t *testing.T) {
			addr := listens(t, c.f)
			_, err := probe.TLS(within(t, 200*time.Millisecond), probe.TLSRequest{Addr: addr, ServerName: "www.example.com"})
			require.ErrorContains(t, err, c.want)
		})
	}
	nobody := closedPort(t)
	r, err := probe.TLS(t.Context(), probe.TLSRequest{Addr: nobody, ServerName: "www.example.com"})
	require.EqualError(t, err, "connect: connection refused")
	require.Equal(t, nobody, r.TCP.Remote, "how far it came is shown")
}

func TestWhatComesFirst(t *testing.T) {
	heard := make(chan string, 1)
	addr := listens(t, func(c net.Conn) {
		b := make([]byte, len("PROXY UNKNOWN\r\n"))
		_, _ = io.ReadFull(c, b)
		heard <- string(b)
	})
	_, err := probe.TLS(t.Context(), probe.TLSRequest{Addr: addr, ServerName: "www.example.com", First: []byte("PROXY UNKNOWN\r\n")})
	require.Error(t, err)
	require.Equal(t, "PROXY UNKNOWN\r\n", <-heard)
}
