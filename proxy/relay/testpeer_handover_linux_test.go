package relay

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// handed is how a hand-over went.
type handed struct {
	relay *Relay
	conns int
	pause time.Duration // for which the loops of both stood still
}

// failAt makes a hand-over fail on one side before it sends its nth message, or after it has received it. The zero value: nowhere.
type failAt struct {
	old, now int
}

// errInjected is the failure.
var errInjected = errors.New("a failure of the test")

// failing returns a Channel.At that fails at the nth message. After the new process has said that it has taken over nothing fails.
func failing(n int) func(bool, handoff.Kind) error {
	return func(_ bool, k handoff.Kind) error {
		if n--; n == 0 && k != handoff.KindTaken {
			return errInjected
		}
		return nil
	}
}

// handOver passes all that old has to a relay with the options o, by the protocol of package handoff, as two processes do. After an
// error old has all of it, as before.
func handOver(old *Relay, o Options, pools []*Warm, fail failAt) (h handed, err error) {
	g, f, err := handoff.Pair()
	if err != nil {
		return h, err
	}
	defer g.Close()
	taker, err := handoff.NewTaker(f)
	if err != nil {
		return h, err
	}
	g.At, taker.At = failing(fail.old), failing(fail.now)
	type result struct {
		relay *Relay
		err   error
	}
	taken := make(chan result, 1)
	var until time.Time
	go func() {
		r, err := takeOver(taker, o, pools)
		until = time.Now()
		taker.Close() // as the end of the process would
		taken <- result{r, err}
	}()
	still, conns, err := giveAway(g, old)
	if err != nil {
		g.At = nil
		g.Abort()
	}
	got := <-taken
	return handed{got.relay, conns, until.Sub(still)}, errors.Join(err, got.err)
}

// giveAway is the old process's side.
func giveAway(g *handoff.Giver, old *Relay) (still time.Time, conns int, err error) {
	if _, err := g.Meet(); err != nil {
		return still, 0, err
	}
	sockets, err := old.Sockets()
	if err != nil {
		return still, 0, err
	}
	if err := g.Offer(&handoff.State{Sockets: sockets, Base: old.Base()}); err != nil {
		return still, 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	still = time.Now()
	frozen, err := old.Freeze(ctx)
	if err != nil {
		return still, 0, err
	}
	conns = frozen.Count()
	if err = frozen.Export(g.Connection); err == nil {
		err = g.Finish(&handoff.Final{NextID: frozen.LastID(), Conns: conns})
	}
	if err == nil {
		err = g.Commit()
	}
	if err != nil {
		frozen.Resume()
		return still, conns, err
	}
	frozen.Release()
	return still, conns, nil
}

// takeOver is the new process's side.
func takeOver(taker *handoff.Taker, o Options, pools []*Warm) (*Relay, error) {
	st, err := taker.Greet("test")
	if err != nil {
		return nil, err
	}
	o.Adopt = &Adoption{Sockets: st.Sockets, Base: st.Base}
	r, err := Start(o)
	for _, s := range st.Sockets {
		syscall.Close(s.FD)
	}
	if err != nil {
		return nil, err
	}
	frozen, n := r.Adopted(), 0
	frozen.SetPools(pools)
	final, err := taker.Ready(func(conns []handoff.Conn) error {
		n += len(conns)
		for i := range conns {
			if err := frozen.Take(&conns[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && n != final.Conns {
		err = fmt.Errorf("%d connections came of %d", n, final.Conns)
	}
	if err == nil {
		err = taker.Adopted()
	}
	if err != nil {
		frozen.Release()
		if n := kept(r.eng); n != 0 || r.Stats().Active != 0 || r.Stats().Pipes != 0 {
			err = fmt.Errorf("%d requests, buffers and pipes are left of a hand-over that failed: %+v", n, r.Stats())
		}
		return nil, err
	}
	frozen.Begin(final.NextID)
	return r, nil
}
