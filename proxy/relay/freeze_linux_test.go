package relay

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// freezes has the relay of a rig stand still for a moment every few milliseconds, for as long as a scenario lasts.
func freezes(r *rig) (end func()) {
	stop, ended := make(chan struct{}), sync.WaitGroup{}
	ended.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			f, err := r.relay.Freeze(ctx)
			cancel()
			if errors.Is(err, ErrStopped) {
				return
			}
			if err != nil {
				r.Errorf("freeze %d: %v", n, err)
				return
			}
			f.Resume()
		}
	})
	return func() { close(stop); ended.Wait() }
}

// Whatever happens to a connection, standing still changes nothing of what its peers see.
func TestScenariosUnderFreezes(t *testing.T) {
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			if apart(t) {
				return
			}
			runTable(t, scenarios(), engine, freezes)
		})
	}
}

func freeze(t testing.TB, r *Relay) *Frozen {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f, err := r.Freeze(ctx)
	require.NoError(t, err)
	return f
}
