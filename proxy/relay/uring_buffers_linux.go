package relay

import "time"

// calmAfter is how long few messages must have come before the buffers that more of them took are given back.
var calmAfter = 500 * time.Millisecond

// grow gives the kernel more buffers, for as long as there is use for them.
func (l *uringLoop) grow() {
	l.in.Grow()
	if !l.grown {
		l.grown = true
		l.shrinkAfter(l.in.Took())
	}
}

// shrinkAfter gives the memory of buffers back once fewer messages come in calmAfter than there were buffers at first.
func (l *uringLoop) shrinkAfter(took int) {
	l.mail.later(calmAfter, func() {
		switch {
		case l.done:
		case l.in.Took()-took > ringSize.first || l.in.Out() > 0 || len(l.sends) > 0:
			l.shrinkAfter(l.in.Took())
		default:
			l.shrink()
		}
	})
}

// provideAgain is how long a ring is without buffers before it asks for some again.
const provideAgain = time.Millisecond

// shrink gives the memory of buffers back. If that leaves the ring without any, it is called again.
func (l *uringLoop) shrink() {
	if l.done {
		return
	}
	err := l.ring.Shrink(ringSize.first)
	switch l.grown = err != nil || l.in.Given() != ringSize.first; {
	case l.in.Given() == 0: // no memory, or buffers came back in that very moment
		l.mail.later(provideAgain, l.shrink)
		l.noWait = true
	case l.grown:
		l.shrinkAfter(l.in.Took())
	}
}

// refill asks again for what found no buffer.
func (l *uringLoop) refill() {
	for _, at := range l.needBuffer {
		c := l.conns.lookup(at.slot, at.gen)
		if c == nil || c.mode != modeRing || c.phase == phaseLingering || c.ends[at.s].recv {
			continue
		}
		// What is held is sent first, and its settledHalf asks; but a preface is held until there is more of it.
		if c.phase == phasePreface || !c.halves[at.s].held() {
			l.recv(c, at.s, false)
		}
	}
	l.needBuffer = l.needBuffer[:0]
}
