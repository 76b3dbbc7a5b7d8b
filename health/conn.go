package health

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/proxy/preface"
)

// stage is how far a caller came, in the order in which callers are closed when places run short.
type stage uint32

const (
	silent    stage = iota // it has sent nothing but, perhaps, a PROXY header
	beginning              // a part of its first request
	idle                   // it was answered, and may ask again
	asking                 // bytes have come of it that the server is about to read
	answering              // a request is being answered
)

// conn is a caller's connection. It takes off the PROXY header that may come first.
type conn struct {
	net.Conn
	source netip.Addr      // see sourceOf
	socket syscall.RawConn // nil: it has none
	leave  func()          // gives the place back; once
	words  time.Duration   // how long it has for its first byte before it may lose its place

	stage atomic.Uint32
	since atomic.Int64  // when it got its place, or when the stage beginning or answering began; a stamp
	got   atomic.Uint64 // bytes that were read of it
	write atomic.Int64  // when the write began that is under way, a stamp; 0: none is

	header *preface.Parser // nil once the header was read, or is known to be absent
	b      []byte          // what was read with the header and is not returned yet
}

// origin is when the process began. It is an hour early, so that the stamp 0 is none, and long ago.
var origin = time.Now().Add(-time.Hour)

// stamp returns a moment in nanoseconds, to be compared with other stamps. It goes by the clock that nobody can set.
func stamp(t time.Time) int64 { return int64(t.Sub(origin)) }

// headerBuffer is what is read at once while a header may come; the longest has some 4 KiB.
const headerBuffer = 512

// newConn returns the connection of a caller. leave is called once, by Close.
func newConn(c net.Conn, source netip.Addr, leave func(*conn)) *conn {
	out := &conn{Conn: c, source: source}
	out.header = &preface.Parser{Config: preface.Config{Proxy: preface.Optional}}
	if s, ok := c.(syscall.Conn); ok {
		out.socket, _ = s.SyscallConn() // nil after an error
	}
	out.leave = sync.OnceFunc(func() { leave(out) })
	return out
}

// Read returns the caller's bytes after a PROXY header.
func (c *conn) Read(b []byte) (n int, err error) {
	if c.header != nil {
		if err := c.skipHeader(); err != nil {
			return 0, err
		}
	}
	if len(c.b) > 0 {
		n = copy(b, c.b)
		c.b = c.b[n:]
	} else {
		n, err = c.Conn.Read(b)
		defer c.got.Add(uint64(n)) // last: until then the stage is asking
	}
	if n > 0 && stage(c.stage.Load()) == silent {
		c.become(beginning)
	}
	return n, err
}

var errHeader = errors.New("a PROXY header that is malformed or incomplete")

// skipHeader reads until it is clear where the request begins.
func (c *conn) skipHeader() error {
	for {
		switch v := c.header.Parse(c.b); {
		case v.Refuse != preface.None:
			return errHeader
		case !v.More:
			c.header, c.b = nil, c.b[v.Skip:]
			return nil
		}
		b := make([]byte, headerBuffer)
		n, err := c.Conn.Read(b)
		c.b = append(c.b, b[:n]...)
		c.got.Add(uint64(n))
		if err != nil {
			return err
		}
	}
}

// Write notes how long the caller takes to read.
func (c *conn) Write(b []byte) (int, error) {
	c.write.Store(stamp(time.Now()))
	defer c.write.Store(0)
	return c.Conn.Write(b)
}

// at returns the stage as of now. A caller of whom more has come than was read has done its part, however busy the machine is.
func (c *conn) at() stage {
	more := c.socket != nil && unread(c.socket, c.got.Load()) // first: Read sets the stage before it counts
	s := stage(c.stage.Load())
	if more && s != answering {
		return asking
	}
	return s
}

// become notes the stage that the server reports.
func (c *conn) become(s stage) {
	if s == answering || s == beginning {
		c.since.Store(stamp(time.Now()))
	}
	c.stage.Store(uint32(s))
}

// Close gives the place back.
func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// CloseWrite lets net/http end an answer to a request that it has not read whole, so that the caller still gets it.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// sourceOf returns whose share a connection is of: an IPv4 address, or the /64 of an IPv6 address, since a client has one for
// itself. The zero value, as of a Unix socket, has no share.
func sourceOf(c net.Conn) netip.Addr {
	t, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	a := t.AddrPort().Addr().Unmap().WithZone("")
	if a.Is4() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return netip.Addr{} // not an address
	}
	return p.Addr()
}
