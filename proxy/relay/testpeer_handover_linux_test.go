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

// restart passes all that old has to a relay with the options o as a restart does: by a parcel, which is opened once the old process is
// gone. fail has it fail before the parcel is sealed: old goes on then. Later nobody could.
func restart(old *Relay, o Options, pools []*Warm, fail bool) (h handed, err error) {
	p, err := handoff.NewPacker()
	if err != nil {
		return h, err
	}
	defer p.Close()
	sockets, err := old.Sockets()
	if err == nil {
		err = p.Offer(&handoff.State{Sockets: sockets, Base: old.Base()})
	}
	if err != nil {
		return h, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	still := time.Now()
	frozen, err := old.Freeze(ctx)
	if err != nil {
		return h, err
	}
	sealed, err := packed(p, frozen, fail)
	if err != nil {
		frozen.Resume()
		return h, err
	}
	h.conns = frozen.Count()
	frozen.Release()
	parcel, err := handoff.OpenParcel(sealed.File)
	sealed.Close()
	if err != nil {
		return h, err
	}
	defer parcel.Close()
	h.relay, err = takeOver(parcel, o, pools)
	h.pause = time.Since(still)
	return h, err
}

// packed completes a parcel.
func packed(p *handoff.Packer, frozen *Frozen, fail bool) (*handoff.Sealed, error) {
	err := frozen.Export(p.Connection)
	if err == nil {
		err = p.Finish(&handoff.Final{NextID: frozen.LastID(), Conns: frozen.Count()})
	}
	if err == nil && fail {
		err = errInjected
	}
	if err != nil {
		return nil, err
	}
	return p.Seal()
}

// source is where a new process takes over from: a handoff.Taker or a handoff.Parcel.
type source interface {
	Greet(build string) (*handoff.State, error)
	Ready(adopt func([]handoff.Conn) error) (*handoff.Final, error)
	Adopted() error
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
func takeOver(taker source, o Options, pools []*Warm) (*Relay, error) {
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
		err = frozen.Taken()
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
