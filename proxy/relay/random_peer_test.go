package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// exchangeLimit is how long one exchange may take before it counts as hung.
const exchangeLimit = 20 * time.Second

// smallReads is how many reads may be small: megabytes in reads of a byte would be a test of the reader.
const smallReads = 2000

// starting is when a side begins to send.
type starting string

const (
	atOnce     starting = "at once"
	afterFirst starting = "after the first byte"
	afterEnd   starting = "after the other side's end"
)

// randomPlan is what one side of an exchange does. Neither side knows the other's plan: a direction describes itself by
// a header, so that an exchange works through any relay.
type randomPlan struct {
	Who    string // "client" or "origin"
	Number uint64 // of the exchange, or of the connection at the origin
	Seed   uint64 // of what it sends
	Size   int    // bytes it sends after the header; 0: nothing at all, not even the header
	Start  starting
	Wait   time.Duration // before it sends; where Start waits for something, the longest wait if the client does
	Chunk  int           // bytes a write
	Read   int           // bytes a read
	Late   time.Duration // before it reads
	Pauses int           // how often it pauses while sending, and while reading
	Pause  time.Duration
	Small  bool // a small receive buffer
	Reset  int  // it resets the connection after so many bytes, header included; negative: it does not
	Acked  bool // but only once all before it was acknowledged
}

// header precedes the bytes of a direction.
type header struct{ Number, Seed, Size uint64 }

const headerSize = 24

func (p *randomPlan) total() int {
	if p.Size == 0 {
		return 0
	}
	return headerSize + p.Size
}

func newRandomPlan(who string, seed, number uint64, resetPercent int) *randomPlan {
	r := rand.New(rand.NewPCG(seed, number^uint64(len(who))<<32^uint64(who[0])<<48))
	ms := func(n int) time.Duration { return time.Duration(r.IntN(n+1)) * time.Millisecond }
	p := &randomPlan{Who: who, Number: number, Seed: r.Uint64(), Size: randomSize(r), Start: atOnce, Reset: -1}
	switch r.IntN(4) {
	case 0:
		p.Start = afterFirst
	case 1:
		p.Start = afterEnd
	}
	if who == "client" { // both must not wait for each other
		p.Wait = ms(20)
		if p.Start == afterEnd {
			p.Start = atOnce
		}
	}
	if r.IntN(2) == 0 {
		p.Wait = 0
	}
	p.Chunk = []int{1 + r.IntN(100), 1460, 16 << 10, 64 << 10, 1 << 20}[r.IntN(5)]
	p.Chunk = max(p.Chunk, p.Size/2000)
	p.Read = []int{1 + r.IntN(2000), 16 << 10, 64 << 10, 256 << 10}[r.IntN(4)]
	if r.IntN(4) == 0 {
		p.Late = ms(20)
	}
	if r.IntN(3) == 0 {
		p.Pauses, p.Pause = 1+r.IntN(8), ms(4)
	}
	// Shrinking the buffer of an accepted connection would drop what its peer may send already.
	p.Small = who == "client" && r.IntN(4) == 0
	if r.IntN(100) < resetPercent {
		p.Reset, p.Acked = r.IntN(p.total()+1), r.IntN(2) == 0
	}
	return p
}

func randomSize(r *rand.Rand) int {
	switch n := r.IntN(100); {
	case n < 12:
		return 0
	case n < 40:
		return 1 + r.IntN(300)
	case n < 70:
		return 1 + r.IntN(20_000)
	case n < 90:
		return 1 + r.IntN(200_000)
	case n < 98:
		return 1 + r.IntN(1<<20)
	}
	return 1 + r.IntN(4<<20)
}

// randomResult is what became of one side.
type randomResult struct {
	Plan    *randomPlan
	Head    *header // what came first; nil: nothing came, or too little
	Got     int     // bytes received, header included
	ReadErr error   // nil: EOF
	Sent    int     // bytes the kernel took
	SendErr error
	Acked   bool // all that was sent before the reset was acknowledged
	Reset   bool // it did reset
	Took    time.Duration
	Last    time.Duration // when the last byte came
	Sockets string        // what ss(8) said of all of them when the exchange had taken half its time
}

func (r *randomResult) String() string {
	return fmt.Sprintf("%+v: header %+v, got %d (%v), sent %d (%v), reset %v acked %v, last byte after %v, took %v %s", *r.Plan, r.Head, r.Got,
		r.ReadErr, r.Sent, r.SendErr, r.Reset, r.Acked, r.Last.Round(time.Millisecond), r.Took.Round(time.Millisecond), r.Sockets)
}

func (r *randomResult) hung() bool {
	return errors.Is(r.ReadErr, os.ErrDeadlineExceeded) || errors.Is(r.SendErr, os.ErrDeadlineExceeded)
}

// sawReset reports whether the connection ended by a reset from the relay. If a write found it first, the read has seen an
// end of file.
func (r *randomResult) sawReset() bool { return isReset(r.ReadErr) || isReset(r.SendErr) }

// randomSide is one side at work.
type randomSide struct {
	plan       *randomPlan
	conn       *net.TCPConn
	res        *randomResult
	begun      time.Time
	first, end chan struct{} // closed at the first byte received, and at the end of them
}

// runSide does what the plan says, to the end of both directions, and closes the connection.
func runSide(plan *randomPlan, conn *net.TCPConn) *randomResult {
	begun := time.Now()
	defer conn.Close()
	conn.SetDeadline(begun.Add(exchangeLimit))
	s := &randomSide{plan: plan, conn: conn, begun: begun, res: &randomResult{Plan: plan},
		first: make(chan struct{}), end: make(chan struct{})}
	looked := make(chan struct{})
	late := time.AfterFunc(exchangeLimit/2, func() {
		defer close(looked)
		out, err := exec.Command("ss", "-tanemio").CombinedOutput()
		s.res.Sockets = fmt.Sprintf("%v -> %v\n%s", conn.LocalAddr(), conn.RemoteAddr(), out)
		if err != nil {
			s.res.Sockets += err.Error()
		}
	})
	var both sync.WaitGroup
	both.Go(s.send)
	both.Go(s.receive)
	both.Wait()
	if !late.Stop() {
		<-looked
	}
	s.res.Took = time.Since(begun)
	return s.res
}

func (s *randomSide) send() {
	s.awaitStart()
	p, res := s.plan, s.res
	last := p.total()
	if p.Reset >= 0 {
		last = p.Reset
	}
	src := io.MultiReader(bytes.NewReader(p.header()), newStream(p.Seed))
	buf := make([]byte, p.Chunk)
	for pauses, next := p.Pauses, p.total()/(p.Pauses+1); res.Sent < last; {
		chunk := buf[:min(len(buf), last-res.Sent)]
		io.ReadFull(src, chunk)
		n, err := s.conn.Write(chunk)
		res.Sent += n
		if err != nil {
			res.SendErr = err
			return
		}
		if pauses > 0 && res.Sent >= next {
			pauses--
			next += p.total() / (p.Pauses + 1)
			time.Sleep(p.Pause)
		}
	}
	if p.Reset < 0 {
		s.conn.CloseWrite()
		return
	}
	s.reset()
}

func (p *randomPlan) header() []byte {
	b := binary.BigEndian.AppendUint64(nil, p.Number)
	b = binary.BigEndian.AppendUint64(b, p.Seed)
	return binary.BigEndian.AppendUint64(b, uint64(p.Size))
}

// awaitStart waits for what the plan names, but a client never for long.
func (s *randomSide) awaitStart() {
	var what chan struct{}
	switch s.plan.Start {
	case afterFirst:
		what = s.first
	case afterEnd:
		what = s.end
	}
	if what == nil || s.plan.Who == "client" {
		select {
		case <-what:
		case <-time.After(s.plan.Wait):
		}
		return
	}
	<-what
}

func (s *randomSide) reset() {
	if s.plan.Acked {
		p := peer{TCPConn: s.conn}
		for end := time.Now().Add(exchangeLimit / 2); !s.res.Acked && time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
			select {
			case <-s.end: // the other side has ended: what was sent may never be acknowledged
				end = time.Now()
			default:
			}
			s.res.Acked = p.unacked() == 0
		}
	}
	s.res.Reset = true
	s.conn.SetLinger(0)
	s.conn.Close()
}

func (s *randomSide) receive() {
	defer close(s.end)
	p := s.plan
	time.Sleep(p.Late)
	first := sync.OnceFunc(func() { close(s.first) })
	defer first()
	m := matcher{res: s.res, want: make([]byte, p.Read)}
	buf := make([]byte, p.Read)
	for reads, pauses := 0, p.Pauses; ; reads, pauses = reads+1, pauses-1 {
		if reads == smallReads {
			buf, m.want = make([]byte, 64<<10), make([]byte, 64<<10)
		}
		n, err := s.conn.Read(buf)
		if n > 0 {
			first()
			s.res.Last = time.Since(s.begun)
		}
		if bad := m.take(buf[:n]); bad != nil {
			err = bad
		}
		if err != nil {
			if err != io.EOF {
				s.res.ReadErr = err
			}
			return
		}
		if pauses > 0 {
			time.Sleep(p.Pause)
		}
	}
}

// matcher compares what comes with what its header promises.
type matcher struct {
	res  *randomResult
	head []byte
	body stream
	want []byte
}

func (m *matcher) take(b []byte) error {
	if n := min(len(b), headerSize-len(m.head)); n > 0 {
		m.head = append(m.head, b[:n]...)
		b = b[n:]
		m.res.Got += n
		if len(m.head) == headerSize {
			number := binary.BigEndian.Uint64
			m.res.Head = &header{number(m.head), number(m.head[8:]), number(m.head[16:])}
			m.body = newStream(m.res.Head.Seed)
		}
	}
	if len(b) == 0 {
		return nil
	}
	want := m.want[:len(b)]
	m.body.Read(want)
	if !bytes.Equal(b, want) {
		return m.explain(b, want)
	}
	m.res.Got += len(b)
	return nil
}

// explain says where the bytes that came instead of those that were wanted belong.
func (m *matcher) explain(got, want []byte) error {
	at := 0
	for got[at] == want[at] {
		at++
	}
	if m.res.Head.Size > 1<<30 { // the header is none: bytes before these are lost, or they are another connection's
		return fmt.Errorf("%w: no header: %x, then %x", &mismatch{int64(m.res.Got)}, m.head, got[:min(len(got), 64)])
	}
	all := make([]byte, m.res.Head.Size)
	newStream(m.res.Head.Seed).Read(all)
	offset := m.res.Got - headerSize + at
	sample := got[at:min(len(got), at+16)]
	return fmt.Errorf("%w: of the stream without its header, at %d came %x, which is what belongs at %d",
		&mismatch{int64(m.res.Got)}, offset, sample, bytes.Index(all, sample))
}
