// Command kernels runs l4fwd's tests, a short load and the daemon itself on the kernels and processors that users have, emulated by
// QEMU; see README.md. `make kernels` starts it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	short   bool
	only    []machine
	run     string // tests of pkg, as go test -run has it; empty: the whole plan
	pkg     string
	count   int
	clock   string
	limit   time.Duration
	dir     string // where kernels are kept and logs go
	archive string // a release's, whose daemon is run; empty: it is compiled
	seconds int    // of the random relay
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kernels:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{seconds: 3}
	var only string
	f := flag.NewFlagSet("kernels", flag.ContinueOnError)
	f.BoolVar(&o.short, "short", false, "one machine and a part of the tests: ends within three minutes, and skips what does not fit")
	f.StringVar(&only, "only", "", "machines, comma-separated: "+join(machines)+" (default: all, with -short "+machines[0].String()+")")
	f.StringVar(&o.run, "run", "", "only the tests of -package that match, as go test -run has it")
	f.StringVar(&o.pkg, "package", "proxy/relay", "the package of -run")
	f.IntVar(&o.count, "count", 1, "how often -run runs its tests")
	f.StringVar(&o.clock, "clock", "instructions", "the guest's time: instructions (a busy host changes nothing) or host (its processors race)")
	f.DurationVar(&o.limit, "limit", 0, "after which a machine is switched off, by the host's clock (default 1h, 100s with -short)")
	f.StringVar(&o.dir, "dir", "build/kernels", "where kernels are kept and logs go")
	f.StringVar(&o.archive, "archive", "", "a release's .tar.gz for the machine's processor: its daemon is run instead of one that is compiled for it")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("parse flags: %q is none", f.Arg(0))
	}
	if clocks[o.clock] == nil {
		return o, fmt.Errorf("parse -clock: %q is none: instructions or host", o.clock)
	}
	if o.limit == 0 {
		if o.limit = time.Hour; o.short {
			o.limit = 100 * time.Second
		}
	}
	return o, o.choose(only)
}

// choose sets the machines that -only names.
func (o *options) choose(only string) error {
	o.only = machines
	if o.short {
		o.only = machines[:1]
	}
	if only == "" {
		return nil
	}
	o.only = nil
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(machines, func(m machine) bool { return m.String() == strings.TrimSpace(name) })
		if i < 0 {
			return fmt.Errorf("parse -only: no machine %q, there are %s", name, join(machines))
		}
		o.only = append(o.only, machines[i])
	}
	return nil
}

func join(ms []machine) string {
	var names []string
	for _, m := range ms {
		names = append(names, m.String())
	}
	return strings.Join(names, ",")
}

// run has one machine after the other run the plan. A machine that cannot be had is skipped by name.
func run(ctx context.Context, o options) error {
	s, err := newStore(o.dir)
	if err != nil {
		return err
	}
	var t table
	for _, m := range o.only {
		if err := t.machine(ctx, o, s, m); err != nil {
			return err
		}
	}
	text := t.String()
	fmt.Print(text)
	if err := os.WriteFile(filepath.Join(s.dir, "table.md"), []byte(text), 0o644); err != nil {
		return err
	}
	if n := t.failed(); n > 0 {
		return fmt.Errorf("%d failed; the machines' own words: %s", n, filepath.Join(o.dir, "log"))
	}
	return nil
}

// machine adds a machine's results to the table.
func (t *table) machine(ctx context.Context, o options, s *store, m machine) error {
	kernel, busybox, err := s.prepare(ctx, o, m)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		t.skip(m, err)
		return nil
	}
	b := newBuild(s.dir, m.arch)
	if !o.short {
		b.files["/bin/sh"], b.files["/bin/sleep"] = busybox, busybox
	}
	steps, err := b.steps(ctx, o)
	if err != nil {
		return err
	}
	g, err := boot(ctx, o, s, m, kernel, b, steps)
	if err != nil {
		return fmt.Errorf("%v: %w", m, err)
	}
	if o.short {
		g.forgiveTime()
	}
	t.add(m, g)
	return nil
}

// prepare has the machine's emulator and kernel at hand, and the shell that only the long form uses.
func (s *store) prepare(ctx context.Context, o options, m machine) (kernel, busybox string, err error) {
	command, pkg := m.emulatorPackage()
	if err := s.install(ctx, command, pkg); err != nil {
		return "", "", err
	}
	if !o.short {
		if busybox, err = s.busybox(ctx, m.arch); err != nil {
			return "", "", err
		}
	}
	kernel, err = s.kernel(ctx, m)
	return kernel, busybox, err
}
