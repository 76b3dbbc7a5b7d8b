package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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
	files   int // RLIMIT_NOFILE
	origin  *child
	entries []entry
	report  report.Report
}

// entry is a relay of the run, with its long-lived process and an origin's address of its own: relays do not share the
// ports that their upstream connections leave in TIME_WAIT.
type entry struct {
	spec     peer.Spec
	upstream netip.AddrPort
	proxy    *peer.Proxy
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
	if err != nil {
		return err
	}
	defer cleanup()
	if err := b.start(specs); err != nil {
		return err
	}
	defer b.stop()
	b.report.Machine = machine(start, b.files)
	b.report.Judged = o.judged
	for _, s := range scenarios {
		if len(o.only) > 0 && !slices.Contains(o.only, s.Name) {
			continue
		}
		b.report.Scenarios = append(b.report.Scenarios, s.Scenario)
		if err := b.scenario(s); err != nil {
			return err
		}
		fmt.Printf("%s\n", b.report.ScenarioText(s.Scenario))
	}
	b.report.Machine.Seconds = time.Since(start).Seconds()
	fmt.Print(b.report.Text())
	if err := b.report.Write(o.out); err != nil {
		return err
	}
	fmt.Printf("%.0f s; written: %s\n", time.Since(start).Seconds(), filepath.Join(o.out, "latest.md"))
	return nil
}

// specs is the peers asked for, the repository's own first and direct last.
func (b *bench) specs() (specs []peer.Spec, cleanup func(), err error) {
	cleanup = func() {}
	self, err := os.Executable()
	if err != nil {
		return nil, cleanup, fmt.Errorf("find own binary: %w", err)
	}
	var why string
	if b.wants("l4fwd") && b.binary == "" {
		var dir string
		if dir, err = os.MkdirTemp("", "l4bench-"); err != nil {
			return nil, cleanup, fmt.Errorf("build l4fwd: %w", err)
		}
		cleanup = func() { os.RemoveAll(dir) }
		b.binary, why = build(b.ctx, dir)
	}
	for _, engine := range b.engines {
		specs = append(specs, peer.L4fwd(b.binary, engine, why))
	}
	specs = append(specs, peer.HAProxy(true), peer.HAProxy(false), peer.Nginx(),
		peer.IOCopy(self, []string{roleEnv + "=iocopy"}, b.files), peer.DirectSpec())
	specs = slices.DeleteFunc(specs, func(s peer.Spec) bool { return !b.wants(s.Name) })
	specs = append(slices.Clone(b.extra), specs...)
	if len(specs) == 0 {
		return nil, cleanup, errors.New("choose peers: none is left")
	}
	return specs, cleanup, nil
}

// wants reports whether -peers names this peer, or what it begins with.
func (b *bench) wants(name string) bool {
	for _, p := range b.peers {
		if strings.HasPrefix(name, p) || strings.HasPrefix(p, name) {
			return true
		}
	}
	return len(b.peers) == 0
}

// build builds l4fwd into dir; where that fails, why says so.
func build(ctx context.Context, dir string) (binary, why string) {
	binary = filepath.Join(dir, "l4fwd")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/l4fwd/l4fwd/cmd/l4fwd").CombinedOutput()
	if err != nil {
		return "", fmt.Sprintf("build ./cmd/l4fwd: %v: %s", err, strings.TrimSpace(string(out)))
	}
	return binary, ""
}

// start starts the origin and every peer that can be; the others are reported as missing.
func (b *bench) start(specs []peer.Spec) error {
	var err error
	c, ready, err := startOrigin(b.ctx, len(specs))
	if err != nil {
		return err
	}
	b.origin = c
	for i, s := range specs {
		e := entry{spec: s, upstream: ready.Addrs[i]}
		p := report.Peer{Name: s.Name, Version: s.Version, Missing: s.Missing}
		if p.Missing == "" {
			if e.proxy, err = peer.Start(b.ctx, s, e.upstream, runtime.NumCPU(), b.files); err != nil {
				p.Missing = err.Error()
			} else {
				b.entries = append(b.entries, e)
			}
		}
		if p.Missing != "" {
			fmt.Printf("missing: %s: %s\n", p.Name, p.Missing)
		}
		b.report.Peers = append(b.report.Peers, p)
	}
	if b.ctx.Err() != nil || len(b.entries) == 0 {
		b.stop()
		return errors.Join(b.ctx.Err(), errors.New("start peers: none runs"))
	}
	return nil
}

func (b *bench) stop() {
	for _, e := range b.entries {
		e.proxy.Stop()
	}
	b.origin.stop()
}

// scenario runs all repetitions: in each one every peer in turn, beginning with another one each time.
func (b *bench) scenario(s scenario) error {
	reps := b.reps
	if b.duration >= time.Second {
		reps = max(1, b.reps-s.fewer)
	} else if s.fresh != nil {
		reps = 1
	}
	for rep := range reps {
		for i := range b.entries {
			e := b.entries[(i+rep)%len(b.entries)]
			if s.fresh != nil && e.spec.Name == peer.Direct {
				continue
			}
			sample, err := b.sample(s, e, rep)
			if b.ctx.Err() != nil {
				return fmt.Errorf("run %s: interrupted", s.Name)
			}
			if err != nil {
				sample.Errors = append(sample.Errors, err.Error())
				fmt.Printf("!! INVALID: %s by %s, repetition %d: %v\n", s.Name, e.spec.Name, rep+1, err)
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
		sample := report.Sample{Scenario: s.Name, Peer: e.spec.Name, Rep: rep}
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
		proxy, err := peer.Start(b.ctx, e.spec, e.upstream, runtime.NumCPU(), b.files)
		if err != nil {
			return err
		}
		defer proxy.Stop()
		return s.fresh(b, process{proxy: proxy, pids: proxy.Pids()}, sample)
	}
	if err := e.proxy.Alive(); err != nil {
		return err
	}
	l, err := startChild(b.ctx, "load")
	if err != nil {
		return err
	}
	defer l.stop()
	p := process{proxy: e.proxy, pids: e.proxy.Pids()}
	if _, err := b.open(l, p, s.groups); err != nil {
		return err
	}
	w, err := b.window(l, p, b.duration)
	if err != nil {
		return err
	}
	disturbance(sample, w)
	sample.Values = s.values(w, len(p.pids) > 0)
	if pace := s.pace(); pace > 0 && sample.Values["throughput"] < 0.95*pace {
		sample.Notes = append(sample.Notes, fmt.Sprintf("repetition %d fell behind the pace, messages came in batches: its CPU figure is too low", sample.Rep+1))
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
	r, err := l.ask(load.Command{Open: &load.Open{Target: p.proxy.Listen, Groups: groups}}, 30*time.Second)
	if err == nil && len(r.Errors) > 0 {
		err = errors.New(strings.Join(r.Errors, "; "))
	}
	return r.Opened, err
}

// window measures once, after a warm-up of a fifth of its length.
func (b *bench) window(l *child, p process, length time.Duration) (*load.WindowResult, error) {
	w := load.Window{Warmup: max(length/5, 150*time.Millisecond), Length: length, Proxy: p.pids, Known: []int{os.Getpid(), b.origin.cmd.Process.Pid}}
	r, err := l.ask(load.Command{Window: &w}, 2*length+30*time.Second)
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
