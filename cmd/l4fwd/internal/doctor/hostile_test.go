package doctor_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// escapes would clear the screen, set the title, and reorder the rest of the line.
const escapes = "\x1b[2J\x1b]0;owned\x07\u202egnp"

// hostileStates are about whoever answers in the place of a resolver, a server, or AWS, and wants the doctor to hang, to fill its memory, or
// to write to the terminal of the person who runs it.
var hostileStates = []state{
	{name: "hostile: a handshake of a byte a second", make: raw(func(c net.Conn) { trickle(c, "\x16\x03\x03\x40\x00\x02\x00\x3f\xfc") }),
		verdict: "broken at: TLS; {origin} accepts the connection and never answers the ClientHello\n"},
	{name: "hostile: a body of a byte a second", make: overTLS(func(c net.Conn) { trickle(c, "HTTP/1.1 200 OK\r\n\r\n") }), verdict: "broken at: the certificate; it is self-signed (1 more step failed)\n",
		lines: []string{`^failed +https .* 200 OK: the answer 200 stopped after \d+ bytes of its body: no answer in`}},
	{name: "hostile: headers of a byte a second", make: overTLS(func(c net.Conn) { trickle(c, "HTTP/1.1 200 OK\r\nX: ") }), verdict: "broken at: the certificate; it is self-signed (1 more step failed)\n"},
	{name: "hostile: a resolver that floods with answers to other questions", make: resolving(flood), verdict: "broken at: DNS; the resolver {dns} does not answer\n"},
	{name: "hostile: an admin port that hangs", make: func(t *testing.T) setup {
		_, s := origin(t, standin.Options{})
		s.args[0] = "--upstream"
		return s.with("--admin", strings.TrimPrefix(hanging(t), "http://"), "--listen", closed(t))
	}, verdict: "no fault found"},
	{name: "hostile: IMDS with a body of a byte a second", make: inAWS(func(r *region) {
		r.imdsHandler = func(w http.ResponseWriter, q *http.Request) {
			for q.Context().Err() == nil {
				_, _ = io.WriteString(w, "x")
				_ = http.NewResponseController(w).Flush()
				pause(q.Context().Done())
			}
		}
	}), verdict: "broken at: the instance metadata; "},
	{name: "hostile: a body without an end", make: overTLS(func(c net.Conn) {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		for err == nil {
			_, err = c.Write(make([]byte, 64<<10))
		}
	}), verdict: "broken at: the certificate; it is self-signed\n"},
	{name: "hostile: headers without an end", make: overTLS(func(c net.Conn) {
		_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for err == nil {
			_, err = io.WriteString(c, "X-A: "+strings.Repeat("a", 4000)+"\r\n")
		}
	}), verdict: "broken at: the certificate; it is self-signed (1 more step failed)\n"},
	{name: "hostile: a megabyte of certificates", make: func(t *testing.T) setup {
		c := selfSigned(t, name)
		for len(c.Certificate)*len(c.Certificate[0]) < 1<<20 {
			c.Certificate = append(c.Certificate, c.Certificate[0])
		}
		return targeting(t, name, tlsServer(t, c, func(net.Conn) {}))
	}, verdict: "broken at: TLS; the handshake with {origin} fails\n"},
	{name: "hostile: escapes in a certificate", make: func(t *testing.T) setup {
		return targeting(t, name, tlsServer(t, selfSigned(t, "www."+strings.ReplaceAll(escapes, "\u202e", "")+".example"), answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")))
	}, verdict: `broken at: the certificate; it is for www.\x1b[2J\x1b]0;owned\agnp.example, not for ` + name + "\n"},
	{name: "hostile: escapes in an answer", make: overTLS(answer("HTTP/1.1 403 " + escapes + "\r\n\r\n{\"error\":{\"message\": \"" + escapes + "Firewall rules\"}}")),
		verdict: "broken at: the certificate; it is self-signed (1 more step failed)\n", hidden: []string{"\x1b"}},
	{name: "hostile: escapes in a redirect", make: overTLS(answer("HTTP/1.1 301 Moved\r\nLocation: https://x/\x1b[2J\u202e\r\nContent-Length: 0\r\n\r\n")), verdict: "broken at: "},
	{name: "hostile: escapes in place of TLS", make: raw(answer(escapes + "SSH-2.0-x\r\n")), verdict: "no fault found, 1 warning", lines: []string{`^warning +hello .*`, `^skipped +certificate .* because the server speaks no TLS$`}},
	{name: "hostile: a resolver with a loop of aliases", make: resolving(loop), verdict: "broken at: DNS; the resolver {dns} fails ("},
	{name: "hostile: a resolver with ten thousand aliases", make: resolving(endless), verdict: "broken at: DNS; the resolver {dns} fails ("},
	{name: "hostile: a resolver whose answers are always cut short", make: resolving(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Truncated = true
		_ = w.WriteMsg(m)
	}), verdict: "broken at: DNS; "},
	{name: "hostile: a resolver with three thousand addresses", make: resolving(crowd), verdict: "broken at: TCP; 127.1.", lines: []string{`^failed +connect `}},
	{name: "hostile: a resolver with escapes and commands in an alias", make: func(t *testing.T) setup {
		return asking(t, name, closed(t), resolver(t, zone(t, name+`. 60 IN CNAME a.privatelink.\027[2J$\(reboot\)'\;reboot\;'.example.`, `a.privatelink.\027[2J$\(reboot\)'\;reboot\;'.example. 60 IN A 127.0.0.1`))).with("--expect", "private")
	}, verdict: "broken at: DNS; " + name + " resolves to the local address 127.0.0.1", hidden: []string{"--zone-name privatelink.\\", "' ;reboot", "=$(reboot)"}},
	{name: "hostile: IMDS redirects to itself", make: inAWS(func(r *region) {
		r.imdsHandler = func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, q.URL.Path, http.StatusTemporaryRedirect)
		}
	}), verdict: "no fault found", lines: []string{`^skipped +metadata .* because this machine is no EC2 instance`}},
	{name: "hostile: IMDS with escapes and commands in the name of the instance", make: inAWS(func(r *region) {
		r.imds = sim.NewMetadata(sim.Machine{Region: "eu-west-1", Account: "1", Instance: "i-1;reboot;" + escapes, MAC: "02:00:00:00:00:01", Interface: "eni-1", PrivateIP: "10.0.0.1"})
		r.env = []string{}
	}), verdict: "broken at: the credentials; AWS is asked without any\n", mend: []string{"--instance-id 'i-1;reboot;"}},
	{name: "hostile: the service that knows this address redirects to itself", make: inAWS(func(r *region) {
		r.egressHandler = func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, q.URL.Path, http.StatusFound) }
	}), verdict: "no fault found", lines: []string{`^skipped +egress .* because it cannot be found out: `}},
	{name: "hostile: the service that knows this address answers with escapes", make: inAWS(func(r *region) { r.egress = escapes }), verdict: "no fault found",
		lines: []string{`^skipped +egress .* because it cannot be found out: .* is no address`}},
}

// raw is a server below TLS, under the name.
func raw(serve func(net.Conn)) func(*testing.T) setup {
	return func(t *testing.T) setup { return targeting(t, name, serveEach(t, serve)) }
}

// overTLS is a server with a certificate that nobody vouches for, under the name. serve begins after a request came.
func overTLS(serve func(net.Conn)) func(*testing.T) setup {
	return func(t *testing.T) setup { return targeting(t, name, tlsServer(t, selfSigned(t, name), serve)) }
}

// resolving is the name at a resolver.
func resolving(h dns.HandlerFunc) func(*testing.T) setup {
	return func(t *testing.T) setup { return asking(t, name, closed(t), resolver(t, h)) }
}

// serveEach runs a server until the test ends. Its connections are closed then, so that serve returns.
func serveEach(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// tlsServer serves what comes after a handshake and the beginning of a request.
func tlsServer(t *testing.T, certificate tls.Certificate, serve func(net.Conn)) (address string) {
	t.Helper()
	return serveEach(t, func(c net.Conn) {
		secured := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}})
		if _, err := secured.Read(make([]byte, 4096)); err == nil {
			serve(secured)
		}
	})
}

// selfSigned is a certificate for a name, which may be anything.
func selfSigned(t *testing.T, host string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: escapes}, DNSNames: []string{host}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(9999 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// answer writes a text and ends the connection.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) { _, _ = io.WriteString(c, text) }
}

// trickle writes a text and then a byte every second until the peer has had enough.
func trickle(c net.Conn, text string) {
	_, err := io.WriteString(c, text)
	for err == nil {
		time.Sleep(time.Second)
		_, err = c.Write([]byte("x"))
	}
}

// pause waits for a second, or until done.
func pause(done <-chan struct{}) {
	select {
	case <-time.After(time.Second):
	case <-done:
	}
}

// alias is a CNAME.
func alias(from, to string) dns.RR {
	return &dns.CNAME{Hdr: dns.RR_Header{Name: from, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}, Target: to}
}

// loop answers with an alias that leads back.
func loop(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.Answer = []dns.RR{alias(q.Question[0].Name, "b.example."), alias("b.example.", q.Question[0].Name)}
	_ = w.WriteMsg(m)
}

// endless answers with five hundred aliases, the last of which has five hundred more, for ever.
func endless(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.Compress = true
	at := q.Question[0].Name
	for range 500 {
		next := fmt.Sprintf("n%d.example.", time.Now().UnixNano())
		m.Answer = append(m.Answer, alias(at, next))
		at = next
	}
	short(w, q, m)
}

// crowd answers with as many addresses as a message holds. Nobody listens at any of them.
func crowd(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.Compress = true
	for i := range 3000 {
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(127, 1, byte(i>>8), byte(i))})
		}
	}
	short(w, q, m)
}

// short sends an answer, over UDP only that it is too long.
func short(w dns.ResponseWriter, q, m *dns.Msg) {
	if w.LocalAddr().Network() == "udp" && m.Len() > 512 {
		m = new(dns.Msg).SetReply(q)
		m.Truncated = true
	}
	_ = w.WriteMsg(m)
}

// flood answers ten thousand times, and never the question.
func flood(w dns.ResponseWriter, q *dns.Msg) {
	for i := range 10_000 {
		m := new(dns.Msg).SetReply(q)
		m.Id += uint16(1 + i%60_000)
		if w.WriteMsg(m) != nil {
			return
		}
	}
}
