package main

import (
	"fmt"
	"time"

	"github.com/l4fwd/l4fwd/bench/load"
	"github.com/l4fwd/l4fwd/bench/meter"
	"github.com/l4fwd/l4fwd/bench/peer"
	"github.com/l4fwd/l4fwd/bench/report"
)

// reach is how many of n connections a peer can hold within the limit on open files: two fds each, and some to spare.
func (b *bench) reach(s peer.Spec, n int) int {
	n = min(n, (b.files-1500)/2)
	if s.MaxConns > 0 {
		n = min(n, s.MaxConns)
	}
	return n
}

// idleMemory measures what 9,000 idle connections cost a process that has done nothing else.
func (b *bench) idleMemory(p process, s *report.Sample) error {
	l, err := startChild(b.ctx, b.net.client, "load")
	if err != nil {
		return err
	}
	defer l.stop()
	before, err := meter.ReadFootprint(p.pids)
	if err != nil {
		return err
	}
	n := b.reach(p.proxy.Spec, idleConns)
	opened, err := b.open(l, p, []load.Group{{Kind: load.Exchange, Conns: n, Inflight: 10, Up: 64, Down: 64}})
	if len(opened) == 0 || opened[0] == 0 {
		return fmt.Errorf("open idle connections: none works: %w", err)
	}
	if opened[0] < idleConns {
		s.Notes = append(s.Notes, fmt.Sprintf("held %d connections, not %d: %d open files are allowed", opened[0], idleConns, b.files))
	}
	if err != nil {
		s.Notes = append(s.Notes, err.Error())
	}
	settle := 3 * time.Second
	if b.duration < time.Second {
		settle = time.Second
	}
	select {
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-time.After(settle):
	}
	after, err := meter.ReadFootprint(p.pids)
	if err != nil {
		return err
	}
	conns := float64(opened[0])
	s.Values = map[string]float64{
		"memory":  (float64(after.Private) - float64(before.Private)) / 1024 / conns,
		"fds":     float64(after.Fds-before.Fds) / conns,
		"held":    conns,
		"base":    float64(before.Private) / (1 << 20),
		"threads": float64(after.Threads),
	}
	return nil
}

// tenAmong measures the CPU of an exchange on ten connections of their own, beside all that are open.
func (b *bench) tenAmong(p process, s *report.Sample) (float64, error) {
	l, err := startChild(b.ctx, b.net.client, "load")
	if err != nil {
		return 0, err
	}
	defer l.stop()
	if _, err := b.open(l, p, []load.Group{{Kind: load.Exchange, Conns: 10, Inflight: 10, Up: 64, Down: 64}}); err != nil {
		return 0, err
	}
	w, err := b.window(l, p, b.duration*3/4)
	if err != nil {
		return 0, err
	}
	disturbance(s, w)
	return 1e6 * w.ProxyCPU / float64(w.Groups[0].Ops), nil
}

// openCost measures the CPU of an exchange while ever more connections are open. One process sees all three, so that
// the growth is that of the connections and not of the process's luck.
func (b *bench) openCost(p process, s *report.Sample) error {
	l, err := startChild(b.ctx, b.net.client, "load")
	if err != nil {
		return err
	}
	defer l.stop()
	values := map[string]float64{}
	for _, n := range []int{10, 1000, idleConns} {
		can := b.reach(p.proxy.Spec, n)
		opened, err := b.open(l, p, []load.Group{{Kind: load.Exchange, Conns: can, Inflight: 10, Up: 64, Down: 64}})
		if err != nil {
			return err
		}
		if opened[0] < n {
			s.Notes = append(s.Notes, fmt.Sprintf("at%d is at %d connections: %d open files are allowed", n, opened[0], b.files))
		}
		w, err := b.window(l, p, b.duration*3/4)
		if err != nil {
			return err
		}
		disturbance(s, w)
		values[fmt.Sprintf("at%d", n)] = 1e6 * w.ProxyCPU / float64(w.Groups[0].Ops)
	}
	// Ten of their own beside the 9,000, which idle now: what is left of the growth is the proxy's, not that of
	// sockets whose memory is cold because each is used once in 900 exchanges.
	among, err := b.tenAmong(p, s)
	if err != nil {
		return err
	}
	values["among9000"] = among
	values["growth"] = values["at9000"] / values["at10"]
	values["growth_same"] = among / values["at10"]
	s.Values = values
	return nil
}
