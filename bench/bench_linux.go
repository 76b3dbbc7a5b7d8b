package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/bench/load"
	"github.com/l4fwd/l4fwd/bench/peer"
	"github.com/l4fwd/l4fwd/bench/report"
	"github.com/l4fwd/l4fwd/bench/sock"
)

// bench is one run.
type bench struct {
	options
	ctx     context.Context
	files   int      // RLIMIT_NOFILE
	made    bool     // whether any network could be made
	net     *network // of the part of the run that is under way, as are origin and entries
	origin  *child
	entries []entry
	report  report.Report
}

// process is a running proxy as a repetition sees it.
type process struct {
	proxy *peer.Proxy
	pids  []int
}

func run(ctx context.Context, o options) error {
	b := &bench{options: o, ctx: ctx}
	start := time.Now()
	var err error
	if b.files, err = sock.RaiseFileLimit(); err != nil {
		return err
	}
	specs, cleanup, err := b.specs()
	defer cleanup()
	if err != nil {
		return err
	}
	b.report.Machine = machine(start, b.files)
	b.report.Judged = o.judged
	for _, s := range specs {
		b.report.Peers = append(b.report.Peers, report.Peer{Name: s.Name, Version: s.Version})
	}
	for _, s := range scenarios {
		if len(o.only) == 0 || slices.Contains(o.only, s.Name) {
			b.report.Scenarios = append(b.report.Scenarios, s.Scenario)
		}
	}
	for _, name := range o.nets {
		if err := b.over(name, specs); err != nil {
			return err
		}
	}
	if b.made && len(b.report.Networks) == 0 {
		return errors.New("start peers: none runs")
	}
	b.report.Machine.Seconds = time.Since(start).Seconds()
	fmt.Print(b.report.Text())
	if err := b.report.Write(o.out); err != nil {
		return err
	}
	fmt.Printf("%.0f s; written: %s\n", time.Since(start).Seconds(), filepath.Join(o.out, "latest.md"))
	return nil
}

// over runs the scenarios over one network. One that cannot be made, or in which nothing runs, is missing: that is no error,
// and does not cost the figures of the others.
func (b *bench) over(name string, specs []peer.Spec) (err error) {
	if !b.anythingOver(name) {
		return nil
	}
	if b.net, err = networks[name](); err != nil {
		b.without(name, err)
		return nil
	}
	b.made = true
	defer b.net.close()
	defer b.stop()
	if err := b.start(specs); b.ctx.Err() != nil {
		return errors.New("start peers: interrupted")
	} else if err != nil {
		b.without(name, err)
		return nil
	}
	b.report.Networks = append(b.report.Networks, b.net.Network)
	fmt.Printf("Over %s. %s\n\n", name, b.net.What)
	for _, s := range scenarios {
		if !b.runs(s, name) {
			continue
		}
		if err := b.scenario(s); err != nil {
			return err
		}
		fmt.Printf("%s\n", b.report.Over(name).ScenarioText(s.Scenario))
	}
	return nil
}

// scenario runs all repetitions: in each one every peer in turn, beginning with another one each time.
func (b *bench) scenario(s scenario) error {
	for rep := range b.repetitions(s, b.net.Name, true) {
		for i := range b.entries {
			e := b.entries[(i+rep)%len(b.entries)]
			if !s.takes(e.spec) || rep >= b.repetitions(s, b.net.Name, b.central(e.spec.Name) || e.spec.Name == s.beside) {
				continue
			}
			sample, err := b.sample(s, e, rep)
			if b.ctx.Err() != nil {
				return fmt.Errorf("run %s: interrupted", s.Name)
			}
			if err != nil {
				sample.Errors = append(sample.Errors, err.Error())
				fmt.Printf("!! INVALID: %s\n", sample.Fault())
			}
			b.report.Samples = append(b.report.Samples, sample)
		}
	}
	return nil
}

// sample runs one repetition, and again where -again allows it and others disturbed it; the least disturbed one counts.
// One with errors is never run again: errors are to be seen.
func (b *bench) sample(s scenario, e entry, rep int) (best report.Sample, err error) {
	for try := 0; ; try++ {
		sample := report.Sample{Net: b.net.Name, Scenario: s.Name, Peer: e.spec.Name, Rep: rep}
		if err := b.repetition(s, e, &sample); err != nil {
			return sample, err
		}
		sample.Tries, best.Tries = try+1, try+1
		if try == 0 || sample.Disturbance() < best.Disturbance() {
			best = sample
		}
		if try >= b.again || best.Disturbance() <= report.Disturbed {
			return best, nil
		}
	}
}

func (b *bench) repetition(s scenario, e entry, sample *report.Sample) error {
	if s.fresh != nil {
		proxy, err := peer.Start(b.ctx, e.spec, b.net.site(e.upstream, b.files))
		if err != nil {
			return err
		}
		defer proxy.Stop()
		return s.fresh(b, process{proxy: proxy, pids: proxy.Pids()}, sample)
	}
	if err := e.proxy.Alive(); err != nil {
		return err
	}
	l, err := startChild(b.ctx, b.net.client, "load")
	if err != nil {
		return err
	}
	defer l.stop()
	p := process{proxy: e.proxy, pids: e.proxy.Pids()}
	if _, err := b.open(l, p, s.groups); err != nil {
		return err
	}
	b.net.faults() // those of the time before
	logged := e.proxy.Logged()
	w, err := b.window(l, p, b.duration)
	if err != nil {
		return err
	}
	if err := checkLog(s, w, e.proxy.Logged()-logged); err != nil {
		return err
	}
	disturbance(sample, w)
	for _, f := range b.net.faults() {
		sample.Notes = append(sample.Notes, fmt.Sprintf("repetition %d: %s", sample.Rep+1, f))
	}
	sample.Values = s.values(w, len(p.pids) > 0)
	if pace := s.pace(); pace > 0 && sample.Values["throughput"] < 0.95*pace {
		sample.Notes = append(sample.Notes, fmt.Sprintf("repetition %d fell behind the pace, messages came in batches: its CPU figure is too low", sample.Rep+1))
	}
	return nil
}

// checkLog is an error if a relay whose log is measured has not written a line for each connection: one has 50 bytes at least.
func checkLog(s scenario, w *load.WindowResult, bytes int64) error {
	if ops := w.Groups[0].Ops; s.variant == peer.Log && bytes < int64(50*ops) {
		return fmt.Errorf("it logged %d bytes about %d connections: lines are missing", bytes, ops)
	}
	return nil
}

// disturbance keeps the worst a sample's windows saw.
func disturbance(s *report.Sample, w *load.WindowResult) {
	if w.Foreign >= s.Foreign {
		s.Foreign, s.Busiest = w.Foreign, w.Busiest
	}
	s.Steal = max(s.Steal, w.Steal)
	s.Vanished += w.Vanished
}

// open opens the groups' connections through p and returns how many of each group work.
func (b *bench) open(l *child, p process, groups []load.Group) ([]int, error) {
	o := load.Open{Target: p.proxy.Listen, Sources: b.net.sources(p.proxy.Spec.Name), Groups: groups}
	r, err := l.ask(load.Command{Open: &o}, 30*time.Second)
	if err == nil && len(r.Errors) > 0 {
		err = errors.New(strings.Join(r.Errors, "; "))
	}
	return r.Opened, err
}

// window measures once, after a warm-up of a fifth of its length.
func (b *bench) window(l *child, p process, length time.Duration) (*load.WindowResult, error) {
	w := load.Window{Warmup: max(length/5, 150*time.Millisecond), Length: length, Proxy: p.pids, Known: []int{os.Getpid(), b.origin.cmd.Process.Pid}}
	r, err := l.ask(load.Command{Window: &w}, 2*length+15*time.Second)
	if err != nil {
		return nil, errors.Join(err, p.proxy.Alive())
	}
	if len(r.Errors) > 0 {
		return nil, errors.Join(errors.New(strings.Join(r.Errors, "; ")), p.proxy.Alive())
	}
	for _, g := range r.Result.Groups {
		if g.Ops == 0 && g.Bytes == 0 {
			return nil, fmt.Errorf("nothing was completed in a window of %v (other processes took %.0f %% of the CPU, above all %s)", length, 100*r.Result.Foreign, r.Result.Busiest)
		}
	}
	return r.Result, nil
}
