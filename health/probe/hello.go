package probe

import (
	"bytes"
	"crypto/tls"
	"net"
	"time"
)

// Hello is how the ClientHello of a handshake is sent. Firewalls that look for the server's name in it are known to drop a
// hello that comes in two segments, as one with a post-quantum key share does.
type Hello int

// The ways to send it.
const (
	HelloUsual    Hello = iota // as crypto/tls makes it: some 1,500 bytes, one or two segments
	HelloWhole                 // without a post-quantum key share: some 300 bytes, one segment
	HelloInPieces              // cut in the middle of the server's name, and sent in two segments with a pause between
)

// betweenPieces is long enough for the first piece to be sent by itself, and shorter than any firewall waits.
const betweenPieces = 50 * time.Millisecond

// prepare sets up a handshake for this way of sending its hello.
func (h Hello) prepare(raw net.Conn, c *tls.Config) net.Conn {
	switch h {
	case HelloWhole:
		c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}
	case HelloInPieces:
		return &pieces{Conn: raw, name: []byte(c.ServerName)}
	}
	return raw
}

// pieces sends the first write in two segments.
type pieces struct {
	net.Conn
	name []byte
	sent bool
}

func (p *pieces) Write(b []byte) (int, error) {
	if p.sent || len(b) < 2 {
		return p.Conn.Write(b)
	}
	p.sent = true
	cut := len(b) / 2
	if at := bytes.Index(b, p.name); at > 0 && len(p.name) > 1 {
		cut = at + len(p.name)/2
	}
	n, err := p.Conn.Write(b[:cut]) // net.Conn has TCP_NODELAY: a segment of its own
	if err != nil {
		return n, err
	}
	time.Sleep(betweenPieces)
	m, err := p.Conn.Write(b[cut:])
	return n + m, err
}
