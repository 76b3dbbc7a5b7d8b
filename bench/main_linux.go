// Command bench is the load-test harness behind `make bench`; see README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/bench/load"
	"github.com/l4fwd/l4fwd/bench/origin"
	"github.com/l4fwd/l4fwd/bench/peer"
	"github.com/l4fwd/l4fwd/bench/report"
)

// roleEnv makes the bench's binary play another part in a process of its own.
const roleEnv = "L4BENCH_ROLE"

// The roles of the far end.
const (
	originRole  = "origin"
	tlsRole     = "origin-tls"
	ticketsRole = "origin-tls-tickets" // lets clients resume their sessions
)

// options are the command line.
type options struct {
	quick    bool
	only     []string
	peers    []string
	extra    []peer.Spec
	reps     int
	again    int
	duration time.Duration
	binary   string
	engines  []string
	judged   []string
	nets     []string
	out      string

	judgeGiven, netGiven bool
}

func main() {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role, os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
			os.Exit(1)
		}
		return
	}
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	// Children die with the thread that started them: this one, which lives as long as the process.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err = run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// play is what a child process does.
func play(role string, args []string) error {
	switch role {
	case originRole, tlsRole, ticketsRole:
		var addrs []netip.Addr
		for _, a := range args {
			addr, err := netip.ParseAddr(a)
			if err != nil {
				return err
			}
			addrs = append(addrs, addr)
		}
		if role != originRole {
			return origin.MainTLS(addrs, role == ticketsRole, os.Stdin, os.Stdout)
		}
		return origin.Main(addrs, os.Stdin, os.Stdout)
	case "load":
		return load.Main(os.Stdin, os.Stdout)
	case "iocopy":
		return peer.ServeIOCopy(args[0], args[1])
	}
	return fmt.Errorf("%s=%s: no such role", roleEnv, role)
}

func parse(args []string) (options, error) {
	var o options
	var only, peers, engines, judged, nets string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.BoolVar(&o.quick, "quick", false, "short windows and few repetitions: ends within two minutes")
	f.StringVar(&only, "only", "", "scenarios to run, comma-separated: "+strings.Join(scenarioNames(), ","))
	f.StringVar(&peers, "peers", "", "built-in peers to run, comma-separated prefixes: l4fwd,haproxy,nginx,go-iocopy,direct; none: only -peer's")
	f.IntVar(&o.reps, "reps", 0, "repetitions (default 5, 2 with -quick)")
	f.IntVar(&o.again, "again", 0, "how often to repeat a window that other processes disturbed; the least disturbed one counts")
	f.DurationVar(&o.duration, "duration", 0, "length of a window (default 2s, 400ms with -quick)")
	f.StringVar(&o.binary, "l4fwd", "", "l4fwd binary (default: build ./cmd/l4fwd)")
	f.StringVar(&engines, "l4fwd-engines", "uring,epoll,portable", "engines of l4fwd, each a peer of its own, comma-separated")
	f.StringVar(&judged, "judge", "l4fwd-uring,l4fwd-epoll,l4fwd-uring-sni,l4fwd-epoll-sni,l4fwd-uring-log,l4fwd-epoll-log,l4fwd-uring-upgrade,l4fwd-epoll-upgrade,l4fwd-warm", "the peers held against their engine's targets, comma-separated")
	f.StringVar(&nets, "net", "", "networks to run over, comma-separated: loopback,tls,veth,far (default all, loopback with -quick)")
	f.StringVar(&o.out, "out", "bench/results", "where latest.json, latest.md and the charts go")
	f.Func("peer", "another peer, repeatable: 'name=command with {listen} {upstream}', {health} and {admin} being free addresses, too", func(s string) error {
		spec, err := peer.Custom(s)
		o.extra = append(o.extra, spec)
		return err
	})
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("parse flags: %q is none", f.Arg(0))
	}
	f.Visit(func(f *flag.Flag) {
		o.judgeGiven, o.netGiven = o.judgeGiven || f.Name == "judge", o.netGiven || f.Name == "net"
	})
	o.only, o.peers, o.engines, o.judged, o.nets = list(only), list(peers), list(engines), list(judged), list(nets)
	for _, name := range o.only {
		if !known(name) {
			return o, fmt.Errorf("parse -only: no scenario %q, there are %s", name, strings.Join(scenarioNames(), ", "))
		}
	}
	for _, name := range o.nets {
		if networks[name] == nil {
			return o, fmt.Errorf("parse -net: no network %q, there are %s, %s, %s and %s", name, report.Loopback, tlsName, vethName, farName)
		}
	}
	o.defaults()
	if !slices.ContainsFunc(o.nets, o.anythingOver) {
		return o, fmt.Errorf("parse -only and -net: none of %s runs over %s", only, strings.Join(o.nets, ", "))
	}
	return o, nil
}

func (o *options) defaults() {
	reps, duration := 5, 2*time.Second
	nets := []string{report.Loopback, tlsName, vethName, farName}
	if o.quick {
		reps, duration = 2, 400*time.Millisecond
		if o.anythingOver(report.Loopback) {
			nets = nets[:1]
		}
		// What does not run over loopback has a network of its own.
		nets = slices.DeleteFunc(nets, func(name string) bool { return !o.anythingOver(name) })
	}
	if len(o.nets) == 0 {
		o.nets = nets
	}
	if o.reps == 0 {
		o.reps = reps
	}
	if o.duration == 0 {
		o.duration = duration
	}
}

func list(s string) (items []string) {
	for _, i := range strings.Split(s, ",") {
		if i = strings.TrimSpace(i); i != "" {
			items = append(items, i)
		}
	}
	return items
}
