package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// configured is a running l4fwd with a file, in which LISTEN stands for where it accepts.
func configured(t *testing.T, file string) *process {
	t.Helper()
	p := &process{listen: freePort(t), health: freePort(t), admin: freePort(t), log: &lockedBuffer{}, ended: make(chan struct{})}
	path := write(t, strings.ReplaceAll(file, "LISTEN", p.listen))
	p.cmd = command(t, []string{"L4FWD_LOG_ACCESS=all"}, "serve", "--config", path, "--health", p.health, "--admin", p.admin)
	p.start(t)
	p.eventually(t, func() bool { return p.get("/readyz") == "200 ok\n" })
	return p
}

// access returns the access lines so far.
func (p *process) access() (lines []map[string]any) {
	for line := range strings.Lines(p.log.String()) {
		var l map[string]any
		if json.Unmarshal([]byte(line), &l) == nil && l["msg"] == "access" {
			lines = append(lines, l)
		}
	}
	return lines
}

// accessLine waits for the line of a connection that has the value.
func (p *process) accessLine(t *testing.T, key, value string) (line map[string]any) {
	t.Helper()
	p.eventually(t, func() bool {
		for _, l := range p.access() {
			if text, ok := l[key].(string); ok && strings.HasPrefix(text, value) {
				line = l
			}
		}
		return line != nil
	})
	return line
}

// haproxy runs HAProxy until the test ends; BIND stands for where it accepts, which is returned.
func haproxy(t *testing.T, config string) (bind string) {
	t.Helper()
	path, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("needs haproxy")
	}
	bind = freePort(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := "global\n\tmaxconn 100\ndefaults\n\ttimeout connect 5s\n\ttimeout client 20s\n\ttimeout server 20s\n" + strings.ReplaceAll(config, "BIND", bind)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	cmd := exec.Command(path, "-db", "-f", file)
	var said lockedBuffer
	cmd.Stderr, cmd.Stdout = &said, &said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", bind)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "haproxy listens")
	return bind
}

// from connects from an address of this host.
func from(t *testing.T, local, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}, Timeout: 10 * time.Second}
	c, err := d.Dial("tcp4", to)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// HAProxy in front names its clients: they are admitted or refused by that, and its own checks are probes.
func TestHAProxyInFront(t *testing.T) {
	p := configured(t, fmt.Sprintf(`
listeners:
  - {name: in, address: "LISTEN", accept_proxy: required, allow_sources: [127.0.0.77]}
upstreams: [{name: up, address: %q}]
`, echo(t)))
	front := haproxy(t, "listen in\n\tmode tcp\n\tbind BIND\n\tserver l4fwd "+p.listen+" send-proxy-v2 check check-send-proxy inter 200ms fall 100\n")
	c := from(t, "127.0.0.77", front)
	exchange(t, c)
	c.Close()
	line := p.accessLine(t, "client", "127.0.0.77:")
	require.Equal(t, c.LocalAddr().String(), line["client"])
	require.Equal(t, "client_closed", line["reason"])
	require.EqualValues(t, 5, line["bytes_up"])

	denied := from(t, "127.0.0.88", front)
	_, _ = io.WriteString(denied, "hello")
	got, _ := io.ReadAll(denied)
	require.Empty(t, got)
	line = p.accessLine(t, "client", "127.0.0.88:")
	require.Equal(t, "source_denied", line["reason"])
	require.Contains(t, p.get("/metrics"), `l4fwd_refused_total{listener="in",reason="source_denied"} `)

	p.accessLine(t, "reason", "probe")
	for _, l := range p.access() {
		require.Contains(t, []any{"client_closed", "source_denied", "probe"}, l["reason"], "%v", l)
	}
}

// tlv writes a TLV of a PROXY header of version 2.
func tlv(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

// header2 is a header of version 2 for a client 10.1.2.3:40000 of 10.9.9.9:443.
func header2(tlvs string) string {
	block := "\x0a\x01\x02\x03\x0a\x09\x09\x09\x9c\x40\x01\xbb" + tlvs
	return "\r\n\r\n\x00\r\nQUIT\n\x21\x11" + string([]byte{byte(len(block) >> 8), byte(len(block))}) + block
}

// HAProxy behind reads the header that l4fwd writes, in both versions, with the fields of the header that the client sent.
func TestHAProxyBehind(t *testing.T) {
	back := haproxy(t, `frontend in
	mode http
	bind BIND accept-proxy
	http-request return status 200 content-type text/plain lf-string "<%[src]:%[src_port] %[dst]:%[dst_port] %[fc_pp_authority] %[fc_pp_unique_id]>"
`)
	for version, known := range map[string]string{"v1": " >", "v2": "name.example unique>"} {
		p := configured(t, fmt.Sprintf(`
listeners:
  - {name: in, address: "LISTEN", accept_proxy: optional}
upstreams: [{name: up, address: %q, send_proxy: %s}]
`, back, version))
		ask := func(header string) string {
			c := p.dial(t)
			_, err := io.WriteString(c, header+"GET / HTTP/1.0\r\n\r\n")
			require.NoError(t, err)
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			return fmt.Sprintf("%s %s", c.LocalAddr(), got)
		}
		got := ask(header2(tlv(0xea, "\x01vpce-0123456789abcdef0") + tlv(0x02, "name.example") + tlv(0x05, "unique")))
		require.Contains(t, got, "<10.1.2.3:40000 10.9.9.9:443 "+known)
		got = ask("")
		local, _, _ := strings.Cut(got, " ")
		require.Contains(t, got, "<"+local+" "+p.listen+"  >", "the peer, and where it connected to")
	}
}

// Endpoints are judged by the header a load balancer writes; its health checks leave nothing but a count.
func TestEndpointsAndHealthChecks(t *testing.T) {
	p := configured(t, fmt.Sprintf(`
listeners:
  - {name: in, address: "LISTEN", accept_proxy: required, allow_vpce: [vpce-0123456789abcdef0]}
upstreams: [{name: up, address: %q}]
`, echo(t)))
	c := p.dial(t)
	_, err := io.WriteString(c, header2(tlv(0xea, "\x01vpce-0123456789abcdef0")))
	require.NoError(t, err)
	exchange(t, c)
	c.Close()
	require.Equal(t, "10.1.2.3:40000", p.accessLine(t, "vpce", "vpce-0123456789abcdef0")["client"])

	c = p.dial(t)
	_, err = io.WriteString(c, header2(tlv(0xea, "\x01vpce-0fedcba9876543210"))+"hello")
	require.NoError(t, err)
	got, _ := io.ReadAll(c)
	require.Empty(t, got)
	require.Equal(t, "vpce_denied", p.accessLine(t, "vpce", "vpce-0fedcba9876543210")["reason"])

	c = p.dial(t) // what an NLB sends: LOCAL, a family, no addresses, CRC32C and NOOP
	_, err = io.WriteString(c, "\r\n\r\n\x00\r\nQUIT\n\x20\x11\x00\x54"+tlv(0x03, "\x00\x11\x22\x33")+tlv(0x04, string(make([]byte, 0x4a))))
	require.NoError(t, err)
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	rest, err := io.ReadAll(c)
	require.NoError(t, err, "it ends in order")
	require.Empty(t, rest)
	require.EqualValues(t, 0, p.accessLine(t, "reason", "probe")["attempts"])
	metrics := p.get("/metrics")
	require.Contains(t, metrics, `l4fwd_connections_total{listener="in",reason="probe",upstream="up"} 1`)
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "l4fwd_refused_total") && !strings.Contains(line, "vpce_denied") {
			require.True(t, strings.HasSuffix(line, " 0\n"), line)
		}
	}
}

// namedServer is a TLS server whose certificate bears a name.
func namedServer(t *testing.T, name string) (addr string, accepted *atomic.Int64) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	accepted = new(atomic.Int64)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			wg.Go(func() {
				defer c.Close()
				s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
				_, _ = io.Copy(io.Discard, s)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String(), accepted
}

// Two TLS servers behind one port, chosen by name; a third name ends where it began.
func TestOpenSSLReachesServersByName(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl")
	}
	one, oneAccepted := namedServer(t, "one.example")
	two, twoAccepted := namedServer(t, "two.example")
	p := configured(t, fmt.Sprintf(`
listeners:
  - name: in
    address: "LISTEN"
    routes:
      - {sni: [one.example], upstream: one}
      - {sni: ["*.example"], upstream: two}
  - {name: other, address: "127.0.0.1:0", upstream: two}
upstreams: [{name: one, address: %q, check: {type: none}}, {name: two, address: %q, check: {type: none}}]
`, one, two))
	ask := func(args ...string) string {
		cmd := exec.Command(openssl, append([]string{"s_client", "-connect", p.listen, "-brief"}, args...)...)
		out, _ := cmd.CombinedOutput() // its standard input is empty, so it ends at once
		return string(out)
	}
	require.Contains(t, ask("-servername", "one.example"), "Peer certificate: CN = one.example")
	require.Contains(t, ask("-servername", "a.example"), "Peer certificate: CN = two.example")
	require.NotContains(t, ask("-servername", "three.test"), "Peer certificate")
	require.NotContains(t, ask("-noservername"), "Peer certificate")
	require.Equal(t, "one", p.accessLine(t, "sni", "one.example")["upstream"])
	require.Equal(t, "two", p.accessLine(t, "sni", "a.example")["upstream"])
	require.Equal(t, "sni_unlisted", p.accessLine(t, "sni", "three.test")["reason"])
	require.Equal(t, "", p.accessLine(t, "reason", "sni_missing")["upstream"])
	require.EqualValues(t, 1, oneAccepted.Load())
	require.EqualValues(t, 1, twoAccepted.Load())
}
