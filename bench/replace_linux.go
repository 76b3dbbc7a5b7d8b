package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/bench/meter"
	"github.com/l4fwd/l4fwd/bench/report"
	"github.com/l4fwd/l4fwd/bench/witness"
)

// paused is how long from its beginning a replacement may hold up connections.
const paused = 2 * time.Second

// replace replaces the processes of a relay while clients are served, and sees what that costs them.
func (b *bench) replace(p process, s *report.Sample) error {
	before, after := time.Second, 10*time.Second
	if b.duration < time.Second {
		before, after = 300*time.Millisecond, 2500*time.Millisecond
	}
	foreign, err := others()
	if err != nil {
		return err
	}
	clients, err := witness.Start(b.ctx, witness.Options{
		Dial: func() (net.Conn, error) { return b.dial(p) }, Busy: 100, Idle: 400, Comers: 10, Every: 20 * time.Millisecond,
	})
	if err != nil {
		return err
	}
	defer clients.Stop()
	if err := b.wait(before / 2); err != nil {
		return err
	}
	clients.Span() // what it was like while they began
	if err := b.wait(before); err != nil {
		return err
	}
	usual := clients.Span()

	serving := p.proxy.Serving()
	begun := time.Now()
	gone := gone(b.ctx, serving, begun, after)
	if err := p.proxy.Renew(); err != nil {
		return err
	}
	if err := b.wait(time.Until(begun.Add(min(paused, after)))); err != nil {
		return err
	}
	during := clients.Span()
	if err := b.wait(time.Until(begun.Add(after))); err != nil {
		return err
	}
	rest := clients.Span()
	alive, of := clients.Alive()
	old := <-gone
	s.Foreign, s.Busiest = foreign(slices.Concat(p.pids, p.proxy.Group(), []int{os.Getpid(), b.origin.cmd.Process.Pid}))
	if err := errors.Join(during.First, rest.First); err != nil {
		s.Notes = append(s.Notes, fmt.Sprintf("the first new client that was refused: %v", err))
	}
	if old >= after {
		s.Notes = append(s.Notes, fmt.Sprintf("the old processes were still there after %v", after))
	}
	came, refused := float64(during.Came+rest.Came), float64(during.Refused+rest.Refused)
	s.Values = map[string]float64{
		"alive": 100 * float64(alive) / float64(of), "served": 100 * came / (came + refused), "refused": refused,
		"pause": inMillis(during.Longest), "usual": inMillis(usual.Longest), "old": old.Seconds(),
	}
	return nil
}

func inMillis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// dial connects to a relay from where its clients are.
func (b *bench) dial(p process) (c net.Conn, err error) {
	err = b.net.client.Do(func() error {
		c, err = net.DialTimeout("tcp4", p.proxy.Listen.String(), 5*time.Second)
		return err
	})
	return c, err
}

// gone watches processes until none of them is left, or until the limit. It sends how long that took since begun.
func gone(ctx context.Context, pids []int, begun time.Time, limit time.Duration) <-chan time.Duration {
	took := make(chan time.Duration, 1)
	go func() {
		left := slices.Clone(pids)
		for len(left) > 0 && time.Since(begun) < limit && ctx.Err() == nil {
			time.Sleep(2 * time.Millisecond)
			left = slices.DeleteFunc(left, func(pid int) bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) })
		}
		took <- time.Since(begun)
	}()
	return took
}

// others begins to watch how much of the machine other processes have than those that the returned function is told of.
func others() (share func(known []int) (float64, string), err error) {
	begun, processes := time.Now(), meter.ReadProcesses()
	machine, err := meter.ReadMachine()
	return func(known []int) (float64, string) {
		now, err := meter.ReadMachine()
		if err != nil {
			return 0, ""
		}
		mine, others, busiest := meter.ReadProcesses().Since(processes, append(known, meter.Deferred()...))
		capacity := time.Since(begun).Seconds() * float64(runtime.NumCPU()) * 1e9
		return meter.Foreign(mine, others, 1e9*(now.Busy-machine.Busy), capacity), busiest
	}, err
}

// wait waits, unless the run is interrupted.
func (b *bench) wait(d time.Duration) error {
	select {
	case <-b.ctx.Done():
		return b.ctx.Err()
	case <-time.After(d):
		return nil
	}
}
