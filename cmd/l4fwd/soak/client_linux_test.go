package soak

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// What a client does.
const (
	doTalk      = "talks"
	doHalfClose = "sends all, half-closes, reads" // before anything came back
	doReset     = "resets"
	doVanish    = "vanishes"         // without a FIN or a reset
	doNothing   = "sends nothing"    // and leaves
	doTrickle   = "trickles"         // its first bytes, one by one
	doUnlisted  = "an unlisted name" // in the ClientHello
	doBadHeader = "a bad header"     // of the PROXY protocol
	doProbe     = "a health check"   // of an NLB, with a LOCAL header
)

// soakPlan is what one client is to do.
type soakPlan struct {
	number   uint32
	listener int // of soakListeners
	name     string
	does     string
	sizes    []int // of its exchanges
	pauses   []time.Duration
	split    int  // in how many writes its first bytes are sent
	eager    bool // does not wait for the greeting
	shut     bool // ends by a FIN and reads the other's, rather than by closing
}

// The listeners of each daemon.
const (
	listenerPlain = iota
	listenerExtra // comes and goes with reloads
	listenerTLS
	listenerProxy
	soakListeners
)

var listenerNames = [soakListeners]string{"plain", "extra", "tls", "proxy"}

func (s *soak) plan(r *rand.Rand) *soakPlan {
	p := &soakPlan{number: s.numbers.Add(1), listener: r.IntN(soakListeners), split: 1, eager: r.IntN(2) == 0, shut: r.IntN(2) == 0, does: doTalk}
	p.name = []string{"one.soak", "two.soak", "either.soak"}[r.IntN(3)]
	if r.IntN(4) == 0 {
		p.split = 2 + r.IntN(5)
	}
	odd := []string{doHalfClose, doHalfClose, doHalfClose, doReset, doReset, doVanish, doNothing, doTrickle, doUnlisted, doBadHeader, doProbe}
	if r.IntN(4) == 0 {
		p.does = odd[r.IntN(len(odd))]
	}
	switch p.does {
	case doTrickle:
		p.listener = listenerTLS + r.IntN(2)
	case doUnlisted:
		p.listener, p.name = listenerTLS, "unlisted.soak"
	case doBadHeader, doProbe:
		p.listener = listenerProxy
	}
	exchanges, pause := 1, 0 // short ones
	switch r.IntN(20) {
	case 0: // long ones
		exchanges, pause = 10+r.IntN(20), 300
		if p.listener == listenerProxy { // long enough to have to end when their address leaves
			exchanges, pause = 30+r.IntN(30), 500
		}
	case 1, 2, 3, 4, 5:
		exchanges, pause = 1+r.IntN(10), 100
	}
	for range exchanges {
		size := 1 + r.IntN(2000)
		switch n := r.IntN(100); {
		case n < 2:
			size = 1 + r.IntN(2<<20)
		case n < 15:
			size = 1 + r.IntN(200_000)
		}
		p.sizes = append(p.sizes, size)
		p.pauses = append(p.pauses, time.Duration(r.IntN(pause+1))*time.Millisecond)
	}
	return p
}

// soakResult is what became of it.
type soakResult struct {
	*soakPlan
	d        *soakDaemon
	begun    time.Time
	ended    time.Time
	err      error // why it did not come to its end
	refused  bool  // the connection could not even be made
	stale    bool  // and the daemon's readiness was known no longer
	sent     int   // of what is passed on
	got      int
	done     int    // exchanges
	greeted  string // by the server at this address
	upstream int    // which said it is of this upstream
}

// clientAddr is the source of a connection: its own for each, so that the access log tells which it was.
func clientAddr(first byte, number uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{first, byte(64 + number>>16), byte(number >> 8), byte(number)})
}

// numberOf is the other way round. 0: none of ours.
func numberOf(a netip.Addr) uint32 {
	b := a.As4()
	if b[0] != 127 && b[0] != 10 || b[1] < 64 {
		return 0
	}
	return uint32(b[1]-64)<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func (p *soakPlan) source() netip.AddrPort { return netip.AddrPortFrom(clientAddr(10, p.number), 4711) }

// first is what the client sends before anything of its own, and how much of it is passed on.
func (s *soak) first(p *soakPlan) (b []byte, passed int) {
	switch p.listener {
	case listenerTLS:
		b = s.world.hellos[p.name]
		return b, len(b)
	case listenerProxy:
		src := p.source().Addr().As4()
		block := binary.BigEndian.AppendUint16(append(src[:], 10, 9, 9, 9), p.source().Port())
		block = append(append(block, 1, 187), soakTLV...)
		b = append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00"), byte(len(block)))
		return append(b, block...), 0
	}
	return nil, 0
}

// clients has one client after the other, until leave is closed.
func (s *soak) clients(r *rand.Rand, leave <-chan struct{}) {
	for {
		select {
		case <-leave:
			return
		default:
		}
		p := s.plan(r)
		res := s.client(p, r, leave)
		res.ended = time.Now()
		s.count.add("connections")
		s.count.sum("exchanges", res.done)
		s.count.sum("bytes", res.sent+res.got)
		if res.does != doTalk {
			s.count.add("clients: " + res.does)
		}
		s.ledger.result(res)
		select {
		case <-leave:
			return
		case <-time.After(time.Duration(r.IntN(50)) * time.Millisecond):
		}
	}
}

// client does what p says, in a hurry once leave is closed.
func (s *soak) client(p *soakPlan, r *rand.Rand, leave <-chan struct{}) *soakResult {
	res := &soakResult{soakPlan: p, begun: time.Now(), upstream: -1}
	d, ready := s.balancer(r)
	if d == nil {
		res.err = errors.New("no daemon is ready")
		return res
	}
	entered := func() {}
	if p.listener == listenerExtra {
		if entered = d.enterExtra(); entered == nil {
			p.listener, entered = listenerPlain, func() {}
		}
	}
	defer func() { entered() }()
	res.d, res.begun = d, time.Now()
	dialer := net.Dialer{Timeout: soakPatience, LocalAddr: &net.TCPAddr{IP: clientAddr(127, p.number).AsSlice()}}
	conn, err := dialer.Dial("tcp4", d.listeners[p.listener])
	if err != nil {
		res.err = err
		res.refused = !errors.Is(err, syscall.ECONNRESET) // else it was accepted, and has its access line
		res.stale = time.Since(ready) > soakLameDuck
		return res
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	t := &soakTalk{s: s, res: res, c: c, r: r, leave: leave}
	t.greet = func() { entered(); entered = func() {} }
	res.err = t.act()
	return res
}

// trickle sends one byte after the other and expects to be sent away for it: nil if it was.
func trickle(c *net.TCPConn, b []byte) error {
	for i := 0; i < len(b)-1; i++ {
		if _, err := c.Write(b[i : i+1]); err != nil {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
		if time.Duration(i)*200*time.Millisecond > soakPatience {
			break
		}
	}
	return errors.New("nobody minds how slow it is")
}

// turnedAway expects the connection to be closed without a byte.
func turnedAway(c *net.TCPConn, b []byte) error {
	if _, err := c.Write(b); err != nil {
		return nil
	}
	n, err := c.Read(make([]byte, 1))
	if n > 0 || isTimeout(err) {
		return fmt.Errorf("was not turned away: %d bytes, %v", n, err)
	}
	return nil
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// writeSplit writes b in n parts.
func writeSplit(c *net.TCPConn, b []byte, n int) error {
	for i := range n {
		if _, err := c.Write(b[i*len(b)/n : (i+1)*len(b)/n]); err != nil {
			return err
		}
		if n > 1 {
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}
