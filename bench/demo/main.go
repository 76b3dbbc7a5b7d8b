// Command demo does l4fwd's main job on one machine, with nothing to set up: a TLS client streams a chat
// completion through a real l4fwd from a stand-in for Azure OpenAI, and l4fwd's log and metrics show it.
//
//	go run ./bench/demo          stays up for a look around, until Ctrl-C
//	go run ./bench/demo -once    for scripts: exits 0 if everything went as it should
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func init() {
	// The child gets a signal when its parent dies. Linux ties that to the thread that started the child:
	// main keeps the one thread that lives as long as the process.
	runtime.LockOSThread()
}

func main() {
	var o options
	flag.StringVar(&o.binary, "l4fwd", "", "run the l4fwd at this `path` instead of building ./cmd/l4fwd")
	flag.BoolVar(&o.once, "once", false, "leave after the first request, with status 0 only if all went well")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "demo: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	p := newPaint(os.Stdout)
	err := run(ctx, p, o)
	stop()
	status := exitStatus(err, o.once)
	switch {
	case status != 0:
		fmt.Fprintf(os.Stderr, "%s %v\n", p.red("demo failed:"), err)
	case err != nil:
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
	}
	os.Exit(status)
}

// exitStatus is 0 also for a reader who has seen enough, lest make call that an error. A script that wants to know
// whether all went well gets 1.
func exitStatus(err error, once bool) int {
	if err == nil || errors.Is(err, errInterrupted) && !once {
		return 0
	}
	return 1
}

// defaultPatience is generous: the machine may be busy building something else.
const defaultPatience = 5 * time.Second

// options are the flags, and what tests are in a hurry with.
type options struct {
	binary   string        // the l4fwd to run; "" builds one
	once     bool          // leave after the first request
	pace     time.Duration // of the stand-in's tokens, as standin.Options has it
	patience time.Duration // for l4fwd's log and metrics to show a connection that ended; 0: defaultPatience
}

// errInterrupted is the reader's own doing.
var errInterrupted = errors.New("interrupted")

// run is the demo from the first line to the last. Whatever it started is gone when it returns.
func run(ctx context.Context, p *paint, o options) (err error) {
	o.patience = cmp.Or(o.patience, defaultPatience)
	p.title("l4fwd demo: TLS client → l4fwd → stand-in for Azure OpenAI, all on this machine")
	s, err := setUp(ctx, p, o)
	if err != nil {
		return err
	}
	defer func() { err = tearDown(p, s, err) }()

	err = showcase(ctx, p, s)
	if err == nil && !o.once {
		err = linger(ctx, p, s)
	}
	if err != nil && ctx.Err() != nil {
		return errInterrupted // whatever broke, broke because of it
	}
	return err
}

// showcase sends one request and shows what l4fwd logs and counts for it.
func showcase(ctx context.Context, p *paint, s *stack) error {
	before, err := s.scrape(ctx)
	if err != nil {
		return err
	}
	p.step("a streaming chat completion, through l4fwd")
	got, err := s.chat(ctx, p)
	if err != nil {
		return err
	}
	p.step("its line in l4fwd's access log")
	line, err := s.accessLine(ctx, got.local)
	if err != nil {
		return err
	}
	p.accessLine(line)
	if err := line.check(got.bytes); err != nil {
		return err
	}
	p.step("the metrics that moved")
	moved, err := s.moved(ctx, before)
	if err != nil {
		return err
	}
	p.moves(moved)
	return nil
}

// linger leaves the stack up for the reader to play with, and prints each connection as it ends.
func linger(ctx context.Context, p *paint, s *stack) error {
	p.step("your turn, until Ctrl-C")
	p.invitation(s)
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(p.w) // the terminal has echoed ^C on this line
			return nil
		case line := <-s.child.access:
			p.connection(line)
		case <-s.child.exited:
			return fmt.Errorf("l4fwd ended by itself: %s", s.child.state())
		}
	}
}

// tearDown ends the stack and folds a failure to do so into err. A failed demo shows l4fwd's log.
func tearDown(p *paint, s *stack, err error) error {
	began := time.Now()
	downErr := s.close()
	if err == nil {
		err = downErr
	}
	switch {
	case errors.Is(err, errInterrupted):
		return err
	case err != nil:
		p.log(s.child.tail())
		return err
	}
	p.step("l4fwd drained and exited with status 0 (%s)", short(time.Since(began)))
	return nil
}
