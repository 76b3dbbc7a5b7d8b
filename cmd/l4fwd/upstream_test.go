package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// nameserver answers every A question with the addresses given.
func nameserver(t *testing.T, addrs ...string) string {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		for _, a := range addrs {
			if q.Question[0].Qtype == dns.TypeA {
				m.Answer = append(m.Answer, &dns.A{
					Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.ParseIP(a),
				})
			}
		}
		_ = w.WriteMsg(m) // the asker may be gone
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown(); <-done })
	return pc.LocalAddr().String()
}

// server is an upstream that says its name, and can die and come back.
type server struct {
	name, addr string
	mu         sync.Mutex
	l          net.Listener
	conns      []net.Conn
	wg         sync.WaitGroup
}

func serverAt(t *testing.T, name, addr string) *server {
	t.Helper()
	s := &server{name: name, addr: addr}
	s.live(t)
	s.addr = s.l.Addr().String()
	t.Cleanup(s.die)
	return s
}

func (s *server) live(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", s.addr)
	require.NoError(t, err)
	s.l = l
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			_, _ = io.WriteString(c, s.name) // a check does not wait for it
		}
	})
}

func (s *server) die() {
	_ = s.l.Close()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		_ = c.Close()
	}
	s.conns = nil
}

// asks connects as a client and returns which server answered.
func (p *process) asks() (string, error) {
	c, err := net.DialTimeout("tcp", p.listen, 5*time.Second)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 3)
	_, err = io.ReadFull(c, b)
	return string(b), err
}

func (p *process) answers(t *testing.T, names ...string) func() bool {
	return func() bool {
		got, err := p.asks()
		require.NoError(t, err, "no client may fail")
		require.Contains(t, []string{"one", "two", "bak"}, got)
		for _, n := range names {
			if n == got {
				return true
			}
		}
		return false
	}
}

// Of two addresses of a name one dies and comes back: no client fails, and every view shows it.
func TestAnAddressDiesAndNoClientFails(t *testing.T) {
	one := serverAt(t, "one", freePort(t))
	_, port, err := net.SplitHostPort(one.addr)
	require.NoError(t, err)
	serverAt(t, "two", "127.0.0.2:"+port)
	file := write(t, fmt.Sprintf("upstreams:\n  - name: up\n    address: model.test:%s\n    check: {type: tcp, interval: 200ms, timeout: 100ms}\n", port))
	p := started(t, nil, "--upstream", "model.test:"+port, "--config", file, "--dns-server", nameserver(t, "127.0.0.1", "127.0.0.2"))
	p.eventually(t, func() bool { // both are checked: until then one that is goes first
		return strings.Contains(p.get("/metrics"), `l4fwd_upstream_addresses{state="usable",upstream="up"} 2`)
	})
	seen := map[string]int{}
	for range 20 {
		name, err := p.asks()
		require.NoError(t, err)
		seen[name]++
	}
	require.Equal(t, map[string]int{"one": 10, "two": 10}, seen)

	one.die()
	for range 50 {
		require.True(t, p.answers(t, "two")(), "a client is served by the other at once")
	}
	p.eventually(t, func() bool {
		return p.answers(t, "two")() && strings.Contains(p.get("/metrics"), `l4fwd_upstream_addresses{state="check_failed",upstream="up"} 1`)
	})
	why := one.addr + " check_failed (check failed: connect: connection refused, for "
	require.Equal(t, "200 ok\n", p.get("/readyz"))
	require.Contains(t, p.get("/readyz?verbose"), "[+]upstream ok\n   "+why)
	require.Regexp(t, "up: "+regexp.QuoteMeta(one.addr)+` check_failed(, \d+ failed)?: check failed: connect: connection refused, for `, // clients may have tried it, too
		l4fwd(t, nil, "status", "--admin", p.admin).unwrapped())
	p.logs(t, `"msg":"an upstream address is out"`)

	one.live(t)
	p.eventually(t, p.answers(t, "one"))
	require.NotContains(t, p.get("/readyz?verbose"), one.addr)
	p.logs(t, `"msg":"an upstream address is used again"`)
	metrics := p.get("/metrics")
	for _, reason := range []string{"connect_refused", "no_address", "upstream_reset"} {
		require.Contains(t, metrics, `reason="`+reason+`",upstream="up"} 0`, "no client met it")
	}
}

// A backup serves while the primary is out by its check, and no longer.
func TestABackupTakesOverAndReturns(t *testing.T) {
	one, bak := serverAt(t, "one", "127.0.0.1:0"), serverAt(t, "bak", "127.0.0.1:0")
	file := write(t, fmt.Sprintf("upstreams:\n  - name: up\n    address: %s\n    backups: [%q]\n    check: {type: tcp, interval: 100ms, timeout: 100ms}\n", one.addr, bak.addr))
	p := started(t, nil, "--upstream", one.addr, "--config", file)
	for range 20 {
		require.True(t, p.answers(t, "one")())
	}
	p.eventually(t, func() bool { // the backup is unchecked until its first check
		return strings.Contains(p.get("/metrics"), `l4fwd_upstream_addresses{state="backup",upstream="up"} 1`)
	})

	one.die()
	for range 50 {
		require.True(t, p.answers(t, "bak")())
	}
	p.eventually(t, func() bool {
		return strings.Contains(p.get("/metrics"), `l4fwd_upstream_addresses{state="check_failed",upstream="up"} 1`)
	})
	require.Contains(t, p.get("/metrics"), `l4fwd_upstream_addresses{state="usable",upstream="up"} 1`, "the backup serves now")
	require.Equal(t, "200 ok\n", p.get("/readyz"))
	p.logs(t, `"msg":"a backup serves: no primary address is usable"`)

	one.live(t)
	p.eventually(t, p.answers(t, "one"))
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"msg":"a primary address serves again"`) })
	for range 20 {
		require.True(t, p.answers(t, "one")())
	}

	one.die()
	bak.die()
	p.eventually(t, func() bool {
		return strings.HasPrefix(p.get("/readyz"), `503 upstream: upstream "up" has no usable address: `)
	})
	require.Contains(t, p.get("/readyz"), bak.addr+" check_failed (check failed: connect: connection refused, ")
}

// Beyond max_connections clients are refused, counted, and admitted again once one has left.
func TestMaxConnectionsOfAnUpstream(t *testing.T) {
	one := serverAt(t, "one", "127.0.0.1:0")
	file := write(t, fmt.Sprintf("upstreams: [{name: up, address: %q, max_connections: 2}]\n", one.addr))
	p := started(t, nil, "--upstream", one.addr, "--config", file)
	first, second := p.dial(t), p.dial(t)
	for _, c := range []net.Conn{first, second} {
		_, err := io.ReadFull(c, make([]byte, 3))
		require.NoError(t, err)
	}
	_, err := p.asks()
	require.Error(t, err)
	require.Contains(t, p.get("/metrics"), `l4fwd_refused_total{listener="`+p.listen+`",reason="limit_upstream"} 1`)
	require.NoError(t, first.Close())
	one.mu.Lock()
	for _, c := range one.conns {
		_ = c.Close()
	}
	one.mu.Unlock()
	p.eventually(t, func() bool { got, err := p.asks(); return err == nil && got == "one" })
}

// identity makes a self-signed certificate for a name, and the file that makes it trusted.
func identity(t *testing.T, name string) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

// A TLS check wants a certificate that is valid for the upstream's name, and sends nothing but the handshake.
func TestTLSChecksVerifyTheName(t *testing.T) {
	cert, trusted := identity(t, "right.test")
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	require.NoError(t, err)
	var mu sync.Mutex
	var names []string
	var got []byte
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			tc := c.(*tls.Conn)
			_ = tc.SetDeadline(time.Now().Add(5 * time.Second))
			b, _ := io.ReadAll(tc)
			mu.Lock()
			names, got = append(names, tc.ConnectionState().ServerName), append(got, b...)
			mu.Unlock()
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	ns := nameserver(t, "127.0.0.1")
	run := func(host, ca string) *process {
		file := write(t, fmt.Sprintf("upstreams: [{name: up, address: '%s:%s', check: {type: tls, interval: 100ms}}]\n", host, port))
		return prepare(t, []string{"SSL_CERT_FILE=" + ca}, "--upstream", host+":"+port, "--config", file, "--dns-server", ns).start(t)
	}

	p := run("right.test", trusted)
	p.eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(names) >= 3 })
	require.Equal(t, "200 ok\n", p.get("/readyz"))
	mu.Lock()
	require.Equal(t, "right.test", names[0])
	require.Empty(t, got, "nothing is sent after the handshake")
	mu.Unlock()

	p = run("wrong.test", trusted)
	p.eventually(t, func() bool {
		return strings.HasPrefix(p.get("/readyz"), "503 ") && strings.Contains(p.get("/readyz"), "check_failed")
	})
	why := "check failed: tls handshake with wrong.test: tls: failed to verify certificate: x509: certificate is valid for right.test, not wrong.test"
	require.Contains(t, p.get("/readyz"), why)
	require.Contains(t, l4fwd(t, nil, "status", "--admin", p.admin).unwrapped(), why)

	_, other := identity(t, "other.test")
	p = run("right.test", other)
	p.eventually(t, func() bool { return strings.Contains(p.get("/readyz"), "certificate signed by unknown authority") })
}
