package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The clients of the tests of upgrades. Each checks every byte that it gets.

// crowdPatience is how long any step of a client may take: an upgrade holds it up for milliseconds, a busy machine for seconds.
const crowdPatience = 60 * time.Second

// What the first byte of a connection asks the server of the crowd for. Any other, a ClientHello's too, asks for an echo.
const (
	asksLate  = 'l' // the echo comes after the client's FIN, once the server is released
	asksEarly = 'f' // the server's FIN comes first; it then reads what the client sends
	asksFlood = 'd' // the server sends flood bytes and then its FIN
)

// flood is more than all buffers between the server and a client hold that does not read. The client sends nothing meanwhile: a socket
// whose receive buffer overflows drops acknowledgements too, and where both ways are full neither gets on (seen on 6.12 and 6.18).
const flood = 24 << 20

// crowdServer is the upstream of a crowd.
type crowdServer struct {
	addr    string
	release chan struct{} // closed: late echoes may go
	early   chan []byte   // what clients that asked for an early FIN have sent
}

func newCrowdServer(t *testing.T) *crowdServer {
	s := &crowdServer{release: make(chan struct{}), early: make(chan []byte, 100)}
	s.addr = serveEach(t, s.serve)
	return s
}

func (s *crowdServer) serve(c net.Conn) {
	first := make([]byte, 1)
	if _, err := io.ReadFull(c, first); err != nil {
		return
	}
	switch first[0] {
	case asksLate:
		all, err := io.ReadAll(c)
		<-s.release
		if err == nil {
			_, _ = c.Write(append(first, all...)) // the client tells what it misses
		}
	case asksFlood:
		_, _ = io.CopyN(c, zeros{}, flood) // the client tells what it misses
	case asksEarly:
		_, _ = c.Write(first)
		_ = c.(*net.TCPConn).CloseWrite()
		all, _ := io.ReadAll(c)
		s.early <- all
	default:
		if _, err := c.Write(first); err == nil {
			_, _ = io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{c}, make([]byte, chunk)) // without a pipe: there are thousands
		}
	}
}

// zeros is an endless source.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// door is a listener that clients come in by: what they send before anything else, and how much of it comes back.
type door struct {
	addr   string
	before []byte
	echoed int
}

// proxyLine is a PROXY header of version 1. None of it reaches the upstream.
const proxyLine = "PROXY TCP4 192.0.2.7 192.0.2.8 4711 443\r\n"

// clientHello returns the first bytes of a TLS client that wants a name.
func clientHello(t *testing.T, name string) []byte {
	near, far := net.Pipe()
	defer far.Close()
	go func() { _ = tls.Client(near, &tls.Config{ServerName: name}).Handshake() }() // ends with far
	b := make([]byte, 16<<10)
	n, err := far.Read(b)
	require.NoError(t, err)
	return b[:n]
}

// enter connects and does what the door wants.
func (d door) enter() (net.Conn, error) {
	c, err := net.DialTimeout("tcp", d.addr, crowdPatience)
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(crowdPatience))
	_, err = c.Write(d.before)
	if err == nil && d.echoed > 0 {
		err = returns(c, d.before[len(d.before)-d.echoed:])
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("%v %w", c.LocalAddr(), err)
	}
	return c, nil
}

// returns wants bytes from a connection.
func returns(c net.Conn, want []byte) error {
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("%d of %d bytes came back: %w", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes came back changed", len(got))
	}
	return nil
}

// random returns bytes that do not repeat themselves. They never begin with what the server takes for a request.
func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	b[0] |= 0x80
	return b
}

// stream is a connection in mid-transfer both ways: there are always bytes under way that have not come back.
type stream struct {
	c     net.Conn
	seed  [32]byte
	every time.Duration // for a chunk
	sent  int
}

const (
	chunk  = 16 << 10
	window = 16 // chunks under way
)

// run sends until stop, and receives all of it. What comes back is made anew from the seed, to be compared with.
func (s *stream) run(stop <-chan struct{}) error {
	credit, sent := make(chan struct{}, window), make(chan error, 1)
	for range window {
		credit <- struct{}{}
	}
	go func() { sent <- s.send(stop, credit) }()
	got, err := s.receive(stop, credit)
	if err != nil {
		s.c.Close() // which ends the sender
		return errors.Join(err, <-sent)
	}
	if err = <-sent; err == nil && got != s.sent {
		err = fmt.Errorf("%d bytes of %d came back before the end", got, s.sent)
	}
	s.c.Close()
	return err
}

func (s *stream) send(stop <-chan struct{}, credit <-chan struct{}) error {
	source, b := rand.NewChaCha8(s.seed), make([]byte, chunk)
	for {
		select {
		case <-stop:
			return s.c.(*net.TCPConn).CloseWrite()
		case <-credit:
		}
		_, _ = source.Read(b) // it never fails
		_ = s.c.SetWriteDeadline(time.Now().Add(crowdPatience))
		n, err := s.c.Write(b)
		if s.sent += n; err != nil {
			return fmt.Errorf("send: %w", err)
		}
	}
}

// receive reads slowly until stop, and then all, up to the other end's FIN.
func (s *stream) receive(stop <-chan struct{}, credit chan<- struct{}) (got int, err error) {
	source, b, want := rand.NewChaCha8(s.seed), make([]byte, chunk), make([]byte, chunk)
	beat := time.NewTicker(s.every)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
		case <-stop:
		}
		_ = s.c.SetReadDeadline(time.Now().Add(crowdPatience))
		n, err := io.ReadFull(s.c, b)
		got += n
		switch {
		case errors.Is(err, io.EOF):
			return got, nil
		case err != nil:
			return got, fmt.Errorf("receive after %d bytes: %w", got, err)
		}
		_, _ = source.Read(want)
		if !bytes.Equal(b, want) {
			return got, fmt.Errorf("the %d bytes before byte %d came back changed", chunk, got)
		}
		select {
		case credit <- struct{}{}:
		default: // the sender has stopped
		}
	}
}
