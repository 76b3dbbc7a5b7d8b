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

// handOver passes all that old has to a relay with the options o, by the protocol of package handoff, as two processes do.
func handOver(old *Relay, o Options, pools []*Warm) (h handed, err error) {
	g, f, err := handoff.Pair()
	if err != nil {
		return h, err
	}
	defer g.Close()
	taker, err := handoff.NewTaker(f)
	if err != nil {
		return h, err
	}
	defer taker.Close()
	type result struct {
		relay *Relay
		err   error
	}
	taken := make(chan result, 1)
	var until time.Time
	go func() {
		r, err := takeOver(taker, o, pools)
		until = time.Now()
		taken <- result{r, err}
	}()
	still, conns, err := giveAway(g, old)
	if err != nil {
		g.Close() // as the end of the process would
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
		return nil, err
	}
	frozen.Begin(final.NextID)
	return r, nil
}
