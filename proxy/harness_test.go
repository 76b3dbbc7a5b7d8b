package proxy

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/health/probe"
	"github.com/l4fwd/l4fwd/proxy/preface"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// server is an upstream that counts its connections.
type server struct {
	addr     netip.AddrPort
	accepted atomic.Int64
}

// serve runs f on each connection, which it closes then.
func serve(t *testing.T, f func(net.Conn)) *server {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{addr: ln.Addr().(*net.TCPAddr).AddrPort()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			wg.Go(func() { defer c.Close(); f(c) })
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return s
}

// tlsServer answers TLS clients with its name, then echoes.
func tlsServer(t *testing.T, name string) *server {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	require.NoError(t, err)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return serve(t, func(c net.Conn) {
		s := tls.Server(c, config)
		_, _ = io.WriteString(s, name+"\n")
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
}

// probeTCP is the Prober of tests whose checks connect.
func probeTCP(ctx context.Context, p Probe) (string, error) {
	_, err := probe.TCP(ctx, p.Addr)
	return "", err
}

// harness is a forwarder with everything it says about its connections.
type harness struct {
	*testing.T
	*Server
	lines *observer.ObservedLogs
	seen  int // access lines
}

// open starts a forwarder with one listener.
func open(t *testing.T, engine string, in Listener, change func(*Options), ups ...Upstream) *harness {
	core, lines := observer.New(zap.InfoLevel)
	in.Name, in.Addr = "in", netip.MustParseAddrPort("127.0.0.1:0")
	o := Options{
		Engine: engine, Loops: 2, Listeners: []Listener{in}, Upstreams: ups,
		PrefaceTimeout: 5 * time.Second, Access: AccessAll, Log: zap.New(core), Prober: probeTCP,
	}
	if change != nil {
		change(&o)
	}
	s, err := Start(o)
	require.NoError(t, err)
	d := &harness{t, s, lines, 0}
	t.Cleanup(func() {
		s.Close(relay.Operator)
		for key, n := range s.Stats().Active {
			require.Zero(t, n, "active connections of %v", key)
		}
		for _, r := range s.policy.table.Load().rules {
			if r == nil {
				continue // of a listener that was forgotten
			}
			require.Zero(t, r.counters.sources.Sources(), "sources with connections")
		}
	})
	return d
}

func to(name string, s *server) Upstream {
	return Upstream{Name: name, Host: s.addr.Addr().String(), Port: s.addr.Port()}
}

func (d *harness) dial() *net.TCPConn {
	c, err := net.Dial("tcp", d.Addrs()[0].String())
	require.NoError(d, err)
	d.T.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c.(*net.TCPConn)
}

// hello connects, says text and returns what comes back until the end, with the error that ended it.
func (d *harness) hello(text ...byte) (string, error) {
	c, err := net.Dial("tcp", d.Addrs()[0].String())
	if err != nil {
		return "", err // reset as soon as it was accepted
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(text); err != nil {
		return "", err
	}
	_ = c.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(c)
	return string(got), err
}

// ended waits for the next line of the access log.
func (d *harness) ended() map[string]any {
	d.Helper()
	var line map[string]any
	require.Eventually(d, func() bool {
		all := d.lines.FilterMessage("access").All()
		require.LessOrEqual(d, len(all), d.seen+1)
		if len(all) > d.seen {
			d.seen++
			line = all[len(all)-1].ContextMap()
		}
		return line != nil
	}, 10*time.Second, 2*time.Millisecond, "a connection's end")
	return line
}

// awaitFlow waits until a connection is open of which yes holds.
func (d *harness) awaitFlow(yes func(*relay.Flow) bool) {
	d.Helper()
	require.Eventually(d, func() bool {
		found := false
		d.relay.Flows(func(s *relay.Summary) { found = found || yes(s.Flow) })
		return found
	}, 10*time.Second, time.Millisecond)
}

// refused wants a client that says text to be turned away for a reason.
func (d *harness) refused(reason string, text []byte) map[string]any {
	d.Helper()
	before := d.Stats().Refused[[2]string{"in", reason}]
	got, err := d.hello(text...)
	require.Empty(d, got)
	line := d.ended()
	require.Equal(d, reason, line["reason"], "%v; the client saw %v", line, err)
	require.EqualValues(d, 0, line["attempts"])
	require.Empty(d, line["upstream_addr"])
	require.Equal(d, before+1, d.Stats().Refused[[2]string{"in", reason}])
	require.Equal(d, before+1, d.Status().Listeners[0].Reasons[reason])
	return line
}

// clientHello returns what a TLS client sends first.
func clientHello(t *testing.T, name string) []byte {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = tls.Client(ours, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
	})
	b := make([]byte, relay.MaxPreface)
	n, err := theirs.Read(b)
	require.NoError(t, err)
	theirs.Close()
	wg.Wait()
	return b[:n]
}

var (
	trueClient = netip.MustParseAddrPort("10.1.2.3:40000")
	trueDest   = netip.MustParseAddrPort("10.9.9.9:443")
)

const endpointID = "vpce-0123456789abcdef0"

// tlvOf writes a TLV of a PROXY header.
func tlvOf(kind byte, value string) []byte {
	return append([]byte{kind, byte(len(value) >> 8), byte(len(value))}, value...)
}

func vpceTLV(id string) []byte { return tlvOf(0xea, "\x01"+id) }

func proxyHeader(t *testing.T, version int, from netip.AddrPort, tlvs []byte) []byte {
	b, err := preface.AppendHeader(nil, version, from, trueDest, tlvs)
	require.NoError(t, err)
	return b
}

// nlbProbe is the health check of an NLB with PROXY protocol: LOCAL, TCP over IPv4, without addresses.
func nlbProbe() []byte {
	b := []byte("\r\n\r\n\x00\r\nQUIT\n\x20\x11\x00\x54")
	b = append(b, tlvOf(0x03, "\xc0\xff\xee\x00")...)
	return append(b, tlvOf(0x04, string(make([]byte, 0x4a)))...)
}

// readHeader takes the PROXY header off a connection's beginning.
func readHeader(c net.Conn) (preface.Result, error) {
	var b []byte
	for one := make([]byte, 1); ; {
		if _, err := c.Read(one); err != nil {
			return preface.Result{}, err
		}
		b = append(b, one[0])
		found, v := preface.Parse(preface.Config{Proxy: preface.Required, KeepTLVs: true}, b)
		switch {
		case v.More && found.Local: // it is complete, and payload awaited
			return found, nil
		case v.More:
		case v.Refuse != preface.None:
			return found, errors.New(v.Detail + ": " + string(b))
		default:
			return found, nil
		}
	}
}

// Every reason of a preface has the relay's reason of the same name.
func TestReasonsOfPrefaces(t *testing.T) {
	for r := preface.None; r <= preface.Probe; r++ {
		require.Equal(t, r.String(), reasonOf[r].String())
	}
	require.Len(t, reasonOf, int(preface.Probe)+1)
	require.True(t, bytes.HasPrefix(nlbProbe(), []byte("\r\n\r\n")))
	require.Len(t, nlbProbe(), 16+84)
}
