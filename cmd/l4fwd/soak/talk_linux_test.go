package soak

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// soakAltered is an error that nothing allows: what came is not what was sent.
type soakAltered string

func (a soakAltered) Error() string { return "altered: " + string(a) }

func altered(format string, args ...any) error { return soakAltered(fmt.Sprintf(format, args...)) }

// soakTalk is a conversation with an upstream.
type soakTalk struct {
	s     *soak
	res   *soakResult
	c     *net.TCPConn
	r     *rand.Rand
	greet func()          // called once the connection is known to have been accepted
	leave <-chan struct{} // closed: no more pauses
}

// act is what happens on the connection.
func (t *soakTalk) act() error {
	s, res, c := t.s, t.res, t.c
	_ = c.SetDeadline(time.Now().Add(soakPatience))
	first, passed := s.first(res.soakPlan)
	switch res.does {
	case doNothing:
		time.Sleep(time.Duration(t.r.IntN(500)) * time.Millisecond)
		return nil
	case doTrickle:
		return trickle(c, first)
	case doUnlisted:
		return turnedAway(c, first)
	case doBadHeader:
		return turnedAway(c, []byte("PROXY TCP4 999.1.1.1 10.0.0.1 1 2\r\nhello"))
	case doProbe:
		if _, err := c.Write([]byte("\r\n\r\n\x00\r\nQUIT\n\x20\x11\x00\x07\x03\x00\x04\x00\x11\x22\x33")); err != nil {
			return err
		}
		return c.CloseWrite()
	}
	if err := writeSplit(c, first, res.split); err != nil {
		return err
	}
	res.sent += passed
	return t.run()
}

func (t *soakTalk) run() error {
	p := t.res
	if p.does == doHalfClose {
		return t.allAtOnce()
	}
	if !p.eager {
		if err := t.greeting(); err != nil {
			return err
		}
	}
	stop := len(p.sizes)
	if p.does == doReset || p.does == doVanish {
		stop = t.r.IntN(len(p.sizes) + 1)
	}
	for i, size := range p.sizes[:stop] {
		_ = t.c.SetDeadline(time.Now().Add(soakPatience))
		if err := t.exchange(size, p.eager && i == 0); err != nil {
			return err
		}
		p.done++
		select {
		case <-t.leave:
		case <-time.After(p.pauses[i]):
		}
	}
	switch p.does {
	case doReset:
		_, _ = t.c.Write(t.s.bytes[:t.r.IntN(50_000)]) // cut short by it, or by the upstream
		return t.c.SetLinger(0)
	case doVanish:
		return vanish(t.c)
	}
	if p.eager && stop == 0 || !p.shut {
		return nil
	}
	if err := t.c.CloseWrite(); err != nil {
		return err
	}
	return t.end()
}

// greeting reads it, and so learns who serves.
func (t *soakTalk) greeting() error {
	b := make([]byte, greetingSize)
	n, err := io.ReadFull(t.c, b)
	t.res.got += n
	if err != nil {
		return err
	}
	t.greet()
	w := t.s.world
	if string(b[:4]) != "SOAK" || int(b[4]) >= len(w.ups) || int(b[5]) >= 8 {
		return altered("greeted with %q", b)
	}
	t.res.upstream = int(b[4])
	t.res.greeted = w.ups[b[4]].servers[b[5]].addr.String()
	if ip, _ := netip.AddrFromSlice(b[10:14]); t.res.listener == listenerProxy && netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b[14:])) != t.res.source() {
		return altered("the upstream was told of %v", ip)
	}
	return nil
}

// exchange sends so many bytes and wants them back.
func (t *soakTalk) exchange(size int, greeting bool) error {
	off := t.r.IntN(len(t.s.bytes) - size + 1)
	out := t.s.bytes[off : off+size]
	sent := make(chan error, 1)
	go func() {
		n, err := t.c.Write(out)
		t.res.sent += n
		sent <- err
	}()
	err := t.back(out, greeting)
	if err != nil {
		t.c.Close() // ends the writing
	}
	return errors.Join(err, <-sent)
}

// back reads what was sent.
func (t *soakTalk) back(want []byte, greeting bool) error {
	if greeting {
		if err := t.greeting(); err != nil {
			return err
		}
	}
	b := make([]byte, min(len(want), 64<<10))
	for len(want) > 0 {
		n, err := t.c.Read(b[:min(len(b), len(want))])
		t.res.got += n
		if !bytes.Equal(b[:n], want[:n]) {
			return altered("byte %d and on", t.res.got-n)
		}
		if want = want[n:]; err != nil {
			return err
		}
	}
	return nil
}

// allAtOnce sends all of its exchanges and a FIN, then reads all.
func (t *soakTalk) allAtOnce() error {
	size := 0
	for _, n := range t.res.sizes {
		size += n
	}
	size = min(size, len(t.s.bytes))
	sent := make(chan error, 1)
	go func() {
		n, err := t.c.Write(t.s.bytes[:size])
		t.res.sent += n
		sent <- errors.Join(err, t.c.CloseWrite())
	}()
	err := t.back(t.s.bytes[:size], true)
	if err != nil {
		t.c.Close()
	}
	if err = errors.Join(err, <-sent); err != nil {
		return err
	}
	t.res.done++
	return t.end()
}

// end reads the upstream's FIN.
func (t *soakTalk) end() error {
	n, err := t.c.Read(make([]byte, 1))
	if n > 0 {
		return soakAltered("more came than was sent")
	}
	if err != io.EOF {
		return err
	}
	return nil
}

// vanish closes a socket of which its peer hears nothing: tcp(7) has nothing to say of TCP_REPAIR, net/ipv4/tcp.c has.
func vanish(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1) }); e != nil {
		return e
	}
	if errors.Is(err, syscall.EPERM) {
		return nil // then it just leaves
	}
	return err
}
