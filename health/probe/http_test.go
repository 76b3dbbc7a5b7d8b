package probe_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/health/probe"
)

func request(s *standin.Server) probe.HTTPRequest {
	return probe.HTTPRequest{
		TLSRequest: probe.TLSRequest{Addr: s.Addr(), ServerName: standin.Name, Roots: s.RootCAs()},
		Path:       "/openai/v1/models",
	}
}

// What Azure answers a request without a key: 401 where it admits the address, one of two 403 where it does not.
func TestWhatAzureAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		o       standin.Options
		status  int
		refusal string
	}{
		"admitted":           {standin.Options{}, 401, ""},
		"admitted by a rule": {standin.Options{Deny: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, 401, ""},
		"firewall":           {standin.Options{Deny: true}, 403, "Access denied due to Virtual Network/Firewall rules."},
		"public disabled":    {standin.Options{Deny: true, Denial: standin.DenialDisabled}, 403, "Public access is disabled. Please configure private endpoint."},
		"unknown path":       {standin.Options{Answer: standin.AnswerNotFound}, 404, ""},
		"throttled":          {standin.Options{Answer: standin.AnswerThrottle}, 429, ""},
		"broken":             {standin.Options{Answer: standin.AnswerBroken}, 500, ""},
		"redirect":           {standin.Options{Answer: standin.AnswerRedirect}, 301, ""},
		"large":              {standin.Options{Answer: standin.AnswerLarge}, 200, ""},
		"HTTP/1.0":           {standin.Options{Answer: standin.AnswerHTTP10}, 401, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := startStandin(t, c.o)
			r, err := probe.HTTPS(within(t, 10*time.Second), request(s))
			require.NoError(t, err)
			require.Equal(t, c.status, r.Status)
			require.Equal(t, c.refusal, r.Refusal)
			require.Equal(t, name == "HTTP/1.0", r.Proto == "HTTP/1.0")
			require.NotEmpty(t, r.Header)
			require.LessOrEqual(t, len(r.Body), 2<<10)
			require.NotZero(t, r.FirstByte)
			require.GreaterOrEqual(t, r.Took, r.FirstByte)
			require.NotNil(t, r.TLS.Certificate)
			require.EqualValues(t, 1, s.Stats().Requests, "one request, no redirect followed")
		})
	}
}

// An answer that stalls is no answer: packets above some size may not get through.
func TestAStalledAnswer(t *testing.T) {
	s := startStandin(t, standin.Options{Answer: standin.AnswerStalled})
	begun := time.Now()
	r, err := probe.HTTPS(within(t, 500*time.Millisecond), request(s))
	require.ErrorContains(t, err, "GET /openai/v1/models: the answer 200 stopped after 50 bytes of its body: no answer in ")
	require.Equal(t, 200, r.Status)
	require.Less(t, time.Since(begun), 5*time.Second)
}

func TestACertificateOfAnotherName(t *testing.T) {
	s := startStandin(t, standin.Options{})
	q := request(s)
	q.ServerName = "dais24.cognitiveservices.azure.com"
	r, err := probe.HTTPS(t.Context(), q)
	require.ErrorContains(t, err, "certificate is valid for *.openai.azure.com")
	require.Zero(t, r.Status)
	require.Zero(t, s.Stats().Requests)
}

// secure serves TLS for "one.example" with f, which gets the request as far as its empty line.
func secure(t *testing.T, f func(c net.Conn, head string)) probe.HTTPRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"one.example"}, IPAddresses: []net.IP{net.IPv6loopback},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, NextProtos: []string{"h2", "http/1.1"}}
	addr := listens(t, func(raw net.Conn) {
		c := tls.Server(raw, config)
		var head strings.Builder
		for r := bufio.NewReader(c); !strings.HasSuffix(head.String(), "\r\n\r\n"); {
			b, err := r.ReadByte()
			if err != nil {
				return
			}
			head.WriteByte(b)
		}
		f(c, head.String())
	})
	return probe.HTTPRequest{TLSRequest: probe.TLSRequest{Addr: addr, ServerName: "one.example", Roots: roots}, Path: "/check?x=1"}
}

// The request is small, names the host, and carries no credential.
func TestTheRequest(t *testing.T) {
	var got, protocol string
	q := secure(t, func(c net.Conn, head string) {
		got, protocol = head, c.(*tls.Conn).ConnectionState().NegotiatedProtocol
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	r, err := probe.HTTPS(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, 204, r.Status)
	require.Equal(t, "http/1.1", protocol, "servers that refuse a client without ALPN are asked, too")
	require.Equal(t, "GET /check?x=1 HTTP/1.1\r\nHost: one.example\r\nUser-Agent: l4fwd\r\nAccept: */*\r\nConnection: close\r\n\r\n", got)

	q.ServerName = "::1"
	_, err = probe.HTTPS(t.Context(), q)
	require.NoError(t, err)
	require.Contains(t, got, "\r\nHost: [::1]\r\n")
}

func TestOddAnswers(t *testing.T) {
	forbidden := func(body string) string {
		return fmt.Sprintf("HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	for name, c := range map[string]struct{ answer, refusal, err string }{
		"interim":              {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + forbidden(`"Public access is disabled."`), "Public access is disabled.", ""},
		"too many interim":     {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 6), "", "more than 5 interim answers"},
		"chunked":              {"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n\"Firewa\r\n9\r\nll rules\"\r\n0\r\n\r\n", "Firewall rules", ""},
		"quota":                {forbidden(`{"error":{"code":"403","message":"Out of call volume quota."}}`), "", ""},
		"firewall text in 200": {"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nFirewall rules", "", ""},
		"a refusal with its address": {forbidden(`{"error":{"code":"AccessDenied","message":"Access denied due to Virtual Network/Firewall rules. Your IP address is 192.0.2.7."}}`),
			"Access denied due to Virtual Network/Firewall rules. Your IP address is 192.0.2.7.", ""},
		"a refusal for the log":       {forbidden("Firewall rules\n\x1b[31mé" + strings.Repeat("x", 300)), "Firewall rules  [31m " + strings.Repeat("x", 179), ""},
		"a long line that is no HTTP": {strings.Repeat("y", 5000) + "\r\n\r\n", "", "…"},
		"no HTTP":                     {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "", "GET /check?x=1: malformed HTTP"},
		"nothing":                     {"", "", "GET /check?x=1: the connection was closed before an answer"},
		"cut in its head":             {"HTTP/1.1 200 OK\r\nX: y\r\n", "", "the connection was closed before an answer"},
		"cut in its body":             {"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\n\"Firewall rules", "Firewall rules", "the answer 403 stopped after 15 bytes of its body"},
		"endless head":                {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Y: zzzzzzzzzzzzzzzzzzzzzzzzz\r\n", 2000), "", "an answer with headers of more than 32 KiB"},
		"endless chunks":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 60000), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			q := secure(t, func(conn net.Conn, _ string) { _, _ = io.WriteString(conn, c.answer) })
			r, err := probe.HTTPS(within(t, 10*time.Second), q)
			require.Equal(t, c.refusal, r.Refusal)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				require.Less(t, len(err.Error()), 300)
				return
			}
			require.NoError(t, err)
		})
	}
}

// A server that takes the request and says nothing, or an answer without end, costs no more than the time it is given.
func TestSlowServers(t *testing.T) {
	for name, f := range map[string]func(net.Conn, string){
		"silent": func(c net.Conn, _ string) { _, _ = io.Copy(io.Discard, c) },
		"drips": func(c net.Conn, _ string) {
			for _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n"); err == nil; _, err = io.WriteString(c, "X: y\r\n") {
				time.Sleep(10 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			_, err := probe.HTTPS(within(t, 300*time.Millisecond), secure(t, f))
			require.ErrorContains(t, err, "GET /check?x=1: no answer in ")
			require.Less(t, time.Since(begun), 5*time.Second)
		})
	}
}

// Redirects are answers like others: whoever is asked next might be somebody else.
func TestARedirectIsShownAndNotFollowed(t *testing.T) {
	s := startStandin(t, standin.Options{Answer: standin.AnswerRedirect})
	r, err := probe.HTTPS(t.Context(), request(s))
	require.NoError(t, err)
	require.Equal(t, "https://elsewhere.example/", r.Header.Get("Location"))
}

// Only what was read of a body is kept, and of that the beginning.
func TestBodiesAreCut(t *testing.T) {
	s := startStandin(t, standin.Options{Answer: standin.AnswerLarge})
	r, err := probe.HTTPS(within(t, 10*time.Second), request(s))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("x", 2<<10), r.Body)

	s = startStandin(t, standin.Options{})
	r, err = probe.HTTPS(t.Context(), request(s))
	require.NoError(t, err)
	require.Contains(t, r.Body, "invalid subscription key")
	require.Len(t, r.Body, 224)
}

// A probe whose context has ended makes no request.
func TestAProbeThatIsTooLate(t *testing.T) {
	s := startStandin(t, standin.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := probe.HTTPS(ctx, request(s))
	require.Error(t, err)
	_, err = probe.TLS(ctx, request(s).TLSRequest)
	require.Error(t, err)
	_, err = probe.TCP(ctx, s.Addr())
	require.Error(t, err)
	require.Zero(t, s.Stats().Requests)
}
