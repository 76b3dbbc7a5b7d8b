package soak

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// soakLife is a server from listening to its death.
type soakLife struct {
	number uint32
	silent chan struct{} // closed: it answers nobody any more
	gone   chan struct{} // closed: its connections are closed
}

// soakServer is an upstream at one of its addresses. It greets, and then sends back what it gets.
type soakServer struct {
	s     *soak
	up    *soakUpstream
	index int // of the address
	addr  netip.AddrPort

	accepting sync.WaitGroup
	serving   sync.WaitGroup

	mu    sync.Mutex // of what follows; the world's is taken first
	ln    *net.TCPListener
	life  *soakLife
	conns map[*net.TCPConn]*soakLife
	hole  []io.Closer // keeps connect attempts without an answer
	dark  *darkness   // the path is cut; nil: it is not

	history []string // of its deaths and lives

	lived    soakSpans // when attempts were answered
	buried   soakSpans // when the connections of a life were reset
	died     soakSpans // each death, from its beginning until no attempt could reach it
	darkened soakSpans // when its path was dark
}

// live begins another life.
func (v *soakServer) live() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range v.hole {
		c.Close()
	}
	v.hole = nil
	v.brighten()
	v.bury()
	ln, err := net.Listen("tcp4", v.addr.String())
	if err != nil {
		v.s.fail(fmt.Sprintf("%s %s cannot live again: %v", v.up.name, v.addr, err))
		return
	}
	v.ln = ln.(*net.TCPListener)
	number := uint32(1)
	if v.life != nil {
		number = v.life.number + 1
	}
	life := &soakLife{number: number, silent: make(chan struct{}), gone: make(chan struct{})}
	v.life = life
	v.accepting.Go(func() { v.accept(v.ln, life) })
	v.lived.open(time.Now())
	v.note("lives")
}

// bury resets the connections of a silent life. The caller holds mu.
func (v *soakServer) bury() {
	if v.life == nil {
		return
	}
	select {
	case <-v.life.gone:
		return
	default:
	}
	for c := range v.conns {
		_ = c.SetLinger(0)
		c.Close()
	}
	close(v.life.gone)
	v.buried.open(time.Now())
}

func (v *soakServer) accept(ln *net.TCPListener, life *soakLife) {
	for {
		c, err := ln.AcceptTCP()
		if err != nil {
			return
		}
		v.mu.Lock()
		v.conns[c] = life
		v.mu.Unlock()
		v.serving.Go(func() {
			defer func() {
				v.mu.Lock()
				delete(v.conns, c)
				v.mu.Unlock()
				c.Close()
			}()
			v.serve(c, life)
		})
	}
}

// greetingSize is what a server says first: who it is, in which life, and whom a PROXY header named.
const greetingSize = 16

func (v *soakServer) serve(c *net.TCPConn, life *soakLife) {
	head, source, err := v.up.preface(c)
	if err != nil {
		if head {
			v.s.fail(fmt.Sprintf("%s: %v", v.up.name, err))
		}
		return
	}
	if life.isSilent() {
		<-life.gone
		return
	}
	g := append(make([]byte, 0, greetingSize), "SOAK"...)
	g = append(g, byte(v.up.index), byte(v.index))
	g = binary.BigEndian.AppendUint32(g, life.number)
	ip := source.Addr().As4()
	g = binary.BigEndian.AppendUint16(append(g, ip[:]...), source.Port())
	if _, err := c.Write(g); err != nil {
		return
	}
	for b := make([]byte, 64<<10); ; {
		n, err := c.Read(b)
		if life.isSilent() {
			<-life.gone
			return
		}
		if n > 0 {
			if _, err := c.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (l *soakLife) isSilent() bool {
	select {
	case <-l.silent:
		return true
	default:
		return false
	}
}

// preface reads what this upstream's clients begin with. wrong tells that it was read and is not what was sent.
func (u *soakUpstream) preface(c *net.TCPConn) (wrong bool, source netip.AddrPort, err error) {
	source = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	switch {
	case u.hellos != nil:
		b := make([]byte, 5, 4096)
		if _, err := io.ReadFull(c, b); err != nil {
			return false, source, err
		}
		b = b[:5+int(binary.BigEndian.Uint16(b[3:]))%4000]
		if _, err := io.ReadFull(c, b[5:]); err != nil {
			return false, source, err
		}
		for _, h := range u.hellos {
			if bytes.Equal(h, b) {
				return false, source, nil
			}
		}
		return true, source, fmt.Errorf("a ClientHello that is none of its own: %q", b)
	case u.proxied:
		b := make([]byte, 16, 600)
		if _, err := io.ReadFull(c, b); err != nil {
			return false, source, err
		}
		b = b[:16+int(binary.BigEndian.Uint16(b[14:]))%580]
		if _, err := io.ReadFull(c, b[16:]); err != nil {
			return false, source, err
		}
		if !bytes.HasPrefix(b, []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11")) || !bytes.HasSuffix(b, []byte(soakTLV)) {
			return true, source, fmt.Errorf("a PROXY header that is not what was sent: %q", b)
		}
		ip, _ := netip.AddrFromSlice(b[16:20])
		return false, netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[24:])), nil
	}
	return false, source, nil
}
