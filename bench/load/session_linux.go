package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/l4fwd/l4fwd/bench/wire"
)

// tlsClient makes one connection after the other. It checks no certificate: what is measured is the way to the origin, and
// there is no other server.
type tlsClient struct {
	config *tls.Config
	// resumes says that a session is there, so the next handshake has to resume it.
	resumes bool
	msg     []byte
}

// client is the group's client i. Those that resume speak TLS 1.3 and TLS 1.2 in turn, each its own version.
func (t *handshaker) client(i int) *tlsClient {
	c := &tlsClient{config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, msg: make([]byte, t.g.Up)}
	if t.g.Ending == NoExchange {
		return c
	}
	c.config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if i%2 == 1 {
		c.config.MinVersion, c.config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	}
	return c
}

// exchange does one over a session that has shaken hands, and ends it.
func (c *tlsClient) exchange(s *tls.Conn, g Group, seq uint64) error {
	if c.resumes && !s.ConnectionState().DidResume {
		return errors.New("shake hands: the session was not resumed")
	}
	c.resumes = true
	if err := s.SetDeadline(time.Now().Add(drainTimeout)); err != nil {
		return fmt.Errorf("limit an exchange: %w", err)
	}
	wire.Seal(c.msg, wire.Header{Op: wire.Exchange, Up: uint32(g.Up), Down: uint32(g.Down), Seq: seq, Stamp: wire.Now()})
	if _, err := s.Write(c.msg); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	answer := make([]byte, g.Down)
	if _, err := io.ReadFull(s, answer); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	h, err := wire.Open(answer)
	if err == nil && h.Seq != seq {
		err = fmt.Errorf("read answer: to request %d, not to %d", h.Seq, seq)
	}
	if err != nil || g.Ending == LikePython {
		return err
	}
	return endLikeNode(s)
}

// endLikeNode says that no more comes and waits for the origin to say so.
func endLikeNode(s *tls.Conn) error {
	if err := s.CloseWrite(); err != nil {
		return fmt.Errorf("send close_notify: %w", err)
	}
	if err := s.NetConn().(*net.TCPConn).CloseWrite(); err != nil {
		return fmt.Errorf("send FIN: %w", err)
	}
	if n, err := io.Copy(io.Discard, s); err != nil || n > 0 {
		return fmt.Errorf("wait for the end: %d bytes more than the answer, %w", n, err)
	}
	return nil
}
