package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/l4fwd/l4fwd/bench/meter"
	"github.com/l4fwd/l4fwd/bench/sock"
	"github.com/l4fwd/l4fwd/bench/stats"
)

// What a window is in. A worker reads it before it starts an operation and when one completes.
const (
	warming int32 = iota
	measuring
	draining
)

const (
	openTimeout  = 15 * time.Second // for all connections of one Open
	drainTimeout = 3 * time.Second  // an operation that takes longer at the end of a window hangs, and is an error
)

// worker drives a part of a group's connections on a thread of its own. open and run are never called at once.
type worker interface {
	// open brings the worker to n connections that work and returns how many it has.
	open(n int) (int, error)
	// run works until the phase is draining and nothing is under way.
	run(phase *atomic.Int32) error
	// wake ends the worker's sleep after the phase has changed.
	wake()
	// count is the operations and bytes completed so far; it is called while the worker runs.
	count() (ops, bytes uint64)
	// latency is what completed while measuring; the caller owns it, the worker starts anew.
	latency() *stats.Hist
}

// session is a load process: groups of workers, in the order of Open.Groups.
type session struct {
	groups [][]worker
	specs  []Group
}

// Main serves commands from in, one JSON document a line, until it ends.
func Main(in io.Reader, out io.Writer) error {
	if _, err := sock.RaiseFileLimit(); err != nil {
		return err
	}
	sock.PrepareProcess(2 * sock.Loops())
	s := &session{}
	enc, dec := json.NewEncoder(out), json.NewDecoder(in)
	for {
		var c Command
		if err := dec.Decode(&c); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read command: %w", err)
		}
		var r Reply
		switch {
		case c.Open != nil:
			r = s.open(*c.Open)
		case c.Window != nil:
			r = s.window(*c.Window)
		}
		if err := enc.Encode(r); err != nil {
			return fmt.Errorf("write reply: %w", err)
		}
	}
}

func (s *session) open(o Open) Reply {
	var r Reply
	if s.groups == nil {
		if err := s.start(o); err != nil {
			return Reply{Errors: []string{err.Error()}}
		}
	}
	r.Opened = make([]int, len(o.Groups))
	var mu sync.Mutex
	s.each(func(group, i, workers int, w worker) {
		want := share(o.Groups[group].Conns, i, workers)
		got, err := w.open(want)
		mu.Lock()
		defer mu.Unlock()
		r.Opened[group] += got
		if err != nil {
			r.Errors = append(r.Errors, fmt.Sprintf("open %s connections: %v", s.specs[group].Kind, err))
		}
	})
	return r
}

func (s *session) start(o Open) error {
	for _, g := range o.Groups {
		n := min(sock.Loops(), g.Conns)
		var ws []worker
		for i := range n {
			mine := g
			mine.Conns, mine.Inflight = share(g.Conns, i, n), share(g.Inflight, i, n)
			if g.Kind == Exchange {
				mine.Every *= time.Duration(n) // each worker has its part of the beats
			}
			w, err := newWorker(o, mine, uint64(i))
			if err != nil {
				return err
			}
			ws = append(ws, w)
		}
		s.groups, s.specs = append(s.groups, ws), append(s.specs, g)
	}
	return nil
}

func newWorker(o Open, g Group, id uint64) (worker, error) {
	p, err := sock.NewPoll()
	if err != nil {
		return nil, err
	}
	d := &dialer{poll: p, target: o.Target, sources: o.Sources}
	switch g.Kind {
	case Exchange:
		return newExchanger(d, g, id<<48)
	case Bulk:
		return newBulk(d, g), nil
	case Stream:
		return newStreamer(d, g), nil
	case TLS:
		return newHandshaker(o, g, id<<48), nil
	}
	return nil, fmt.Errorf("start load: no such kind %q", g.Kind)
}

// share is what worker i of n does of total.
func share(total, i, n int) int { return total*(i+1)/n - total*i/n }

// each calls f for every worker, each on a thread of its own, and waits for all.
func (s *session) each(f func(group, i, workers int, w worker)) {
	var wg sync.WaitGroup
	for g, ws := range s.groups {
		for i, w := range ws {
			wg.Go(func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				f(g, i, len(ws), w)
			})
		}
	}
	wg.Wait()
}

// mark is everything read at one edge of a window.
type mark struct {
	at         time.Time
	ops, bytes []uint64
	proxy      meter.CPU
	processes  meter.Processes
	machine    meter.Machine
}

// figures reads what the window is about, all within microseconds.
func (m *mark) figures(s *session, w Window) (err error) {
	if m.proxy, err = meter.ReadCPU(w.Proxy); err != nil {
		return err
	}
	m.at = time.Now()
	for _, ws := range s.groups {
		var ops, bytes uint64
		for _, w := range ws {
			o, b := w.count()
			ops, bytes = ops+o, bytes+b
		}
		m.ops, m.bytes = append(m.ops, ops), append(m.bytes, bytes)
	}
	return nil
}

// surroundings reads what else goes on: slower, so before the figures at the beginning and after them at the end.
func (m *mark) surroundings() (err error) {
	m.processes = meter.ReadProcesses()
	m.machine, err = meter.ReadMachine()
	return err
}

// window runs the groups through one window. The edges are read on a thread of their own while the workers run on.
func (s *session) window(w Window) Reply {
	var phase atomic.Int32
	var before, after mark
	var edgeErr error
	done := make(chan struct{})
	go func() {
		defer close(done)
		sock.KeepTime()
		before, after, edgeErr = s.edges(w, &phase)
	}()
	var r Reply
	var mu sync.Mutex
	s.each(func(group, _, _ int, w worker) {
		if err := w.run(&phase); err != nil {
			mu.Lock()
			r.Errors = append(r.Errors, fmt.Sprintf("%s: %v", s.specs[group].Kind, err))
			mu.Unlock()
		}
	})
	<-done
	if edgeErr != nil {
		r.Errors = append(r.Errors, edgeErr.Error())
		return r
	}
	r.Result = s.result(w, before, after)
	return r
}

// edges moves the phase on in time and reads the marks. Whatever happens, the workers are told to drain in the end.
func (s *session) edges(w Window, phase *atomic.Int32) (before, after mark, err error) {
	defer func() {
		phase.Store(draining)
		for _, ws := range s.groups {
			for _, w := range ws {
				w.wake()
			}
		}
	}()
	sock.Sleep(w.Warmup)
	if err = errors.Join(before.surroundings(), before.figures(s, w)); err != nil {
		return before, after, err
	}
	phase.Store(measuring)
	sock.Sleep(w.Length)
	err = errors.Join(after.figures(s, w), after.surroundings())
	return before, after, err
}

func (s *session) result(w Window, before, after mark) *WindowResult {
	res := &WindowResult{Seconds: after.at.Sub(before.at).Seconds()}
	proxy, vanished := after.proxy.Since(before.proxy)
	res.ProxyCPU, res.Vanished = float64(proxy)/1e9, vanished
	res.Waits, res.Preempts = after.proxy.Switches.Since(before.proxy.Switches)
	capacity := res.Seconds * float64(runtime.NumCPU())
	kernel := meter.Deferred()
	deferred, _, _ := after.processes.Since(before.processes, kernel)
	res.Deferred = float64(deferred) / 1e9
	mine, others, busiest := after.processes.Since(before.processes, slices.Concat(w.Known, w.Proxy, kernel, []int{os.Getpid()}))
	res.Foreign = meter.Foreign(mine, others, 1e9*(after.machine.Busy-before.machine.Busy), 1e9*capacity)
	res.Busiest = busiest
	res.Steal = (after.machine.Steal - before.machine.Steal) / capacity
	for g, ws := range s.groups {
		var gr GroupResult
		gr.add(after.ops[g]-before.ops[g], after.bytes[g]-before.bytes[g])
		var h stats.Hist
		for _, w := range ws {
			h.Merge(w.latency())
		}
		gr.latency(&h)
		res.Groups = append(res.Groups, gr)
	}
	return res
}
