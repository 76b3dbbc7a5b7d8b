package upgrade

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// errNoStore is the error of a restart where nobody would keep the connections.
var errNoStore = errors.New("there is no store for descriptors")

// Leave puts everything into the service manager's store for the process that it is about to start, and gives it up: Gone is closed, and
// this process has to end at once. possible says why the next process could not go on with it. After an error everything is as before.
func (u *Upgrader) Leave(by string, possible func() error) error {
	u.mu.Lock() // waits for an upgrade under way
	defer u.mu.Unlock()
	if u.closed {
		return u.Ended()
	}
	if u.o.Keeper == nil {
		return errNoStore
	}
	if err := possible(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), settleTime, errSlow)
	state, release, err := u.o.Daemon.Settle(ctx)
	cancel()
	if err != nil {
		return err
	}
	n, err := u.leave(state)
	if err != nil {
		release()
		return err
	}
	u.o.Logger.Info("left the connections to the process that is started next", zap.String("by", by), zap.Int("connections", n))
	u.closed = true
	close(u.gone)
	return nil
}

// leave has the connections stand still, and gives them up once the store has them. After an error they go on.
func (u *Upgrader) leave(state *handoff.State) (conns int, err error) {
	p, err := handoff.NewPacker()
	if err != nil {
		return 0, err
	}
	defer p.Close()
	if err := p.Offer(state); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), handoff.StillTimeout)
	defer cancel()
	frozen, err := u.o.Daemon.Freeze(ctx)
	if err != nil {
		return 0, err
	}
	still := time.Now()
	err = u.pass(p, frozen)
	if err == nil {
		err = u.o.Keeper.leave(p)
	}
	if err != nil {
		frozen.Resume()
		return 0, err
	}
	u.o.Daemon.Gone(0)
	conns = frozen.Count()
	frozen.Release()
	u.o.Logger.Debug("left", zap.Duration("took", time.Since(still)))
	return conns, nil
}

// leave puts a parcel with everything into the store.
func (k *Keeper) leave(p *handoff.Packer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.put(keptAll, p)
}

// receiver is what takes everything on its way to the next process: a handoff.Giver, which sends it, or a handoff.Packer.
type receiver interface {
	Connection(*handoff.Conn) error
	Finish(*handoff.Final) error
}

// pass hands the connections and the final figures to a receiver.
func (u *Upgrader) pass(to receiver, frozen Frozen) error {
	f, err := u.final(frozen)
	if err == nil {
		err = frozen.Export(to.Connection)
	}
	if err != nil {
		return err
	}
	return to.Finish(f)
}

// final returns the final figures.
func (u *Upgrader) final(frozen Frozen) (*handoff.Final, error) {
	still := handoff.Now()
	parts, err := u.o.Daemon.Final()
	if err != nil {
		return nil, err
	}
	return &handoff.Final{NextID: frozen.LastID(), Still: still, Conns: frozen.Count(), Parts: parts}, nil
}
