package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// hostile is where attackers find a daemon.
type hostile struct {
	plain, named    string // listeners; the second wants a name, and takes PROXY headers
	health, admin   string
	hello, stranger string // ClientHellos for a name that is served, and for another
}

// An attack gets a connection to the place that its table says. What becomes of it is no concern of it.
type attack func(h hostile, c *net.TCPConn)

// attacksOnPlain are those of clients on a listener that relays from the first byte. The first byte is the origin's mood.
var attacksOnPlain = map[string]attack{
	"closes":            func(h hostile, c *net.TCPConn) {},
	"resets":            func(h hostile, c *net.TCPConn) { _ = c.SetLinger(0) },
	"ends at once":      func(h hostile, c *net.TCPConn) { _ = c.CloseWrite(); readAll(c) },
	"reads nothing":     func(h hostile, c *net.TCPConn) { say(c, "f"); linger() },
	"stops in bulk":     func(h hostile, c *net.TCPConn) { say(c, "f"); readSome(c, 3<<20); linger() },
	"resets in bulk":    func(h hostile, c *net.TCPConn) { say(c, "f"); readSome(c, 1<<20); _ = c.SetLinger(0) },
	"resets an upload":  func(h hostile, c *net.TCPConn) { say(c, "e"+zerosText); _ = c.SetLinger(0) },
	"upload to nobody":  func(h hostile, c *net.TCPConn) { say(c, "s"+zerosText); _ = c.SetLinger(0) },
	"FIN, then reset":   func(h hostile, c *net.TCPConn) { say(c, "f"); readSome(c, 10); _ = c.CloseWrite(); linger() },
	"upstream resets":   func(h hostile, c *net.TCPConn) { say(c, "r"); readAll(c) },
	"answered early":    func(h hostile, c *net.TCPConn) { say(c, "q"+zerosText); readAll(c) },
	"a byte at a time":  func(h hostile, c *net.TCPConn) { _ = c.SetReadBuffer(1 << 10); say(c, "f"); trickle(c) },
	"urgent data":       urgent,
	"many at once":      burst,
	"half-closed, mute": func(h hostile, c *net.TCPConn) { say(c, "s"); _ = c.CloseWrite(); linger() },
}

// attacksOnNamed are those on a listener that reads first bytes.
var attacksOnNamed = map[string]attack{
	"says nothing": func(h hostile, c *net.TCPConn) { linger() },
	"garbage": func(h hostile, c *net.TCPConn) {
		b := make([]byte, 70000)
		_, _ = rand.Read(b)
		say(c, string(b))
		readAll(c)
	},
	"part of a hello":      func(h hostile, c *net.TCPConn) { say(c, h.hello[:60]); linger() },
	"a hello byte by byte": func(h hostile, c *net.TCPConn) { dribble(c, h.hello); linger() },
	"a name not listed":    func(h hostile, c *net.TCPConn) { say(c, h.stranger); readAll(c) },
	"a hello without end":  func(h hostile, c *net.TCPConn) { say(c, "\x16\x03\x01\x40\x00\x01\xff\xff\xff"+zerosText); readAll(c) },
	"records of a byte":    oneByteRecords,
	"bad PROXY v1":         func(h hostile, c *net.TCPConn) { say(c, "PROXY TCP4 1.2.3.4\r\n"); readAll(c) },
	"endless PROXY v1":     func(h hostile, c *net.TCPConn) { say(c, "PROXY "+zerosText); readAll(c) },
	"bad PROXY v2":         func(h hostile, c *net.TCPConn) { say(c, proxyV2+"\x2f\xff\xff\xff"+zerosText); readAll(c) },
	"PROXY v2 cut short":   func(h hostile, c *net.TCPConn) { say(c, proxyV2+"\x21\x11\x00\x54\x01"); linger() },
	"PROXY v2 LOCAL":       func(h hostile, c *net.TCPConn) { say(c, proxyV2+"\x20\x00\x00\x00"); _ = c.CloseWrite(); readAll(c) },
}

// attacksOnPorts are those on the health port and on the admin port.
var attacksOnPorts = map[string]attack{
	"mute":               func(h hostile, c *net.TCPConn) { linger() },
	"a TLS hello":        func(h hostile, c *net.TCPConn) { say(c, h.hello); readAll(c) },
	"half a request":     func(h hostile, c *net.TCPConn) { dribble(c, "GET /readyz HTTP/1.1\r\nX: y"); linger() },
	"a huge header":      func(h hostile, c *net.TCPConn) { say(c, "GET / HTTP/1.1\r\nX: "+zerosText); readAll(c) },
	"unread metrics":     func(h hostile, c *net.TCPConn) { say(c, strings.Repeat(request("GET", "/metrics", ""), 20)); linger() },
	"unread stream":      func(h hostile, c *net.TCPConn) { say(c, request("GET", "/api/v1/stream", "")); linger() },
	"stream, then reset": func(h hostile, c *net.TCPConn) { say(c, request("GET", "/api/v1/stream", "")); _ = c.SetLinger(0) },
	"lists connections": func(h hostile, c *net.TCPConn) {
		say(c, request("GET", "/api/v1/conns?sort=bytes", ""))
		readSome(c, 100)
	},
	"closes nobody": func(h hostile, c *net.TCPConn) {
		say(c, request("POST", "/api/v1/conns/close", `{"id":18446744073709551615}`))
	},
	"no JSON": func(h hostile, c *net.TCPConn) {
		say(c, request("POST", "/api/v1/addresses/eject", `{"upstream":`))
		readSome(c, 10)
	},
	"a body without end": func(h hostile, c *net.TCPConn) {
		say(c, request("POST", "/api/v1/log-level", zerosText))
		readSome(c, 10)
	},
	"a stranger's origin": func(h hostile, c *net.TCPConn) {
		say(c, "POST /api/v1/drain HTTP/1.1\r\nHost: evil.example\r\nOrigin: http://evil.example\r\nContent-Length: 0\r\n\r\n")
		readSome(c, 10)
	},
}

const proxyV2 = "\r\n\r\n\x00\r\nQUIT\n"

var zerosText = strings.Repeat("0", 1<<20)

// linger stays connected for a while: that is the attack.
func linger() { time.Sleep(700 * time.Millisecond) }

func say(c io.Writer, text string)  { _, _ = io.WriteString(c, text) }
func readAll(c io.Reader)           { _, _ = io.Copy(io.Discard, c) }
func readSome(c io.Reader, n int64) { _, _ = io.CopyN(io.Discard, c, n) }
func dribble(c io.Writer, t string) {
	for i := range len(t) {
		say(c, t[i:i+1])
	}
}
func trickle(c io.Reader) {
	for range 50 {
		readSome(c, 100)
		time.Sleep(5 * time.Millisecond)
	}
}
func request(method, path, body string) string {
	return fmt.Sprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", method, path, len(body), body)
}

// urgent sends urgent data between others.
func urgent(_ hostile, c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	say(c, "e")
	for range 20 {
		_ = raw.Write(func(fd uintptr) bool { return unix.Send(int(fd), []byte("u"), unix.MSG_OOB) != unix.EAGAIN })
		say(c, "data")
	}
	_ = c.CloseWrite()
	readAll(c)
}

// burst has many others come in one moment, and go in another.
func burst(h hostile, _ *net.TCPConn) {
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if c, err := net.Dial("tcp", h.plain); err == nil {
				if i%2 == 0 {
					_ = c.(*net.TCPConn).SetLinger(0)
				}
				c.Close()
			}
		})
	}
	wg.Wait()
}

// oneByteRecords sends a hello each byte of which has a record of its own.
func oneByteRecords(h hostile, c *net.TCPConn) {
	var b strings.Builder
	for _, x := range []byte(h.hello[5:]) {
		b.WriteString("\x16\x03\x01\x00\x01")
		b.WriteByte(x)
	}
	say(c, b.String())
	readAll(c)
}
