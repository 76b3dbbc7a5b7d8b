package delay

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/l4fwd/l4fwd/bench/sock"
)

// Carriers is how many goroutines carry a line's packets: one that takes and one that hands on, each way.
const Carriers = 4

const (
	// packetSize is the room for a packet; a device's MTU is at most that.
	packetSize = 2048
	// capacity is how many packets are under way one way at most. What comes beyond is dropped, as by a router: with 20 ms
	// that is 2.4 Gbit/s of full packets.
	capacity = 4096
)

// Line carries packets both ways between two devices. In each direction they keep their order, since all wait equally long.
type Line struct {
	devices  [2]io.Closer
	ways     [2]*way
	closing  sync.Once
	carriers sync.WaitGroup
}

// Stats is what a line did, both ways together.
type Stats struct {
	Carried uint64        // packets handed on
	Dropped uint64        // packets that found the queue full, or the other device not taking them
	Late    time.Duration // how much longer than it should one packet was held, at most
}

// Join begins to carry packets between a and b, each after oneWay. A Read of either is one packet, and so is a Write. The
// line owns both until Close, which must be able to end a Read under way.
func Join(a, b io.ReadWriteCloser, oneWay time.Duration) *Line {
	return join(a, b, oneWay, sock.KeepTime, sock.Sleep)
}

// join is Join by another clock: prepare is called on each goroutine that sleeps.
func join(a, b io.ReadWriteCloser, oneWay time.Duration, prepare func(), sleep func(time.Duration)) *Line {
	l := &Line{devices: [2]io.Closer{a, b}, ways: [2]*way{newWay(oneWay), newWay(oneWay)}}
	for i, ends := range [2][2]io.ReadWriter{{a, b}, {b, a}} {
		w := l.ways[i]
		l.carriers.Go(func() { w.take(ends[0]) })
		l.carriers.Go(func() {
			prepare()
			w.hand(ends[1], sleep)
		})
	}
	return l
}

// Close closes both devices and returns once nothing is carried any more; packets under way are lost. It may be called twice.
func (l *Line) Close() {
	l.closing.Do(func() {
		for _, w := range l.ways {
			w.ended.Store(true)
		}
		for _, d := range l.devices {
			d.Close()
		}
	})
	l.carriers.Wait()
}

// Take is what the line did since the last Take, or since Join.
func (l *Line) Take() (s Stats) {
	for _, w := range l.ways {
		s.Carried += w.carried.Swap(0)
		s.Dropped += w.dropped.Swap(0)
		s.Late = max(s.Late, time.Duration(w.late.Swap(0)))
	}
	return s
}

// packet is one under way.
type packet struct {
	due time.Time
	n   int
	buf [packetSize]byte
}

// way is one direction: a goroutine that takes packets and one that hands them on.
type way struct {
	delay            time.Duration
	queue            chan *packet
	spare            chan *packet // packets to use again, so that none is made while the line is busy
	ended            atomic.Bool
	carried, dropped atomic.Uint64
	late             atomic.Int64 // ns
}

func newWay(delay time.Duration) *way {
	return &way{delay: delay, queue: make(chan *packet, capacity), spare: make(chan *packet, capacity)}
}

// take reads packets until the device is closed. Each is due from the moment it was read.
func (w *way) take(from io.Reader) {
	defer close(w.queue)
	p := &packet{}
	for {
		n, err := from.Read(p.buf[:])
		if err != nil {
			return
		}
		p.n, p.due = n, time.Now().Add(w.delay)
		select {
		case w.queue <- p:
			p = w.fresh()
		default:
			w.dropped.Add(1)
		}
	}
}

func (w *way) fresh() *packet {
	select {
	case p := <-w.spare:
		return p
	default:
		return &packet{}
	}
}

// hand writes each packet when it is due, until there are no more.
func (w *way) hand(to io.Writer, sleep func(time.Duration)) {
	for p := range w.queue {
		if w.ended.Load() {
			continue
		}
		sleep(time.Until(p.due))
		late := int64(time.Since(p.due))
		if _, err := to.Write(p.buf[:p.n]); err != nil {
			w.dropped.Add(1)
		} else {
			w.carried.Add(1)
			w.late.Store(max(w.late.Load(), late))
		}
		select {
		case w.spare <- p:
		default:
		}
	}
}
