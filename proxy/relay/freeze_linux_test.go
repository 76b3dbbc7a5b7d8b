package relay

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
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

// Whatever happens to a connection, standing still changes nothing of what its peers see. The whole table takes a minute for each
// engine: L4FWD_HANDOVERS=1.
func TestScenariosUnderFreezes(t *testing.T) {
	table := slices.Concat(basicScenarios, closeScenarios, prefaceScenarios)
	if os.Getenv("L4FWD_HANDOVERS") != "" {
		table = scenarios()
	}
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			if apart(t) {
				return
			}
			runTable(t, table, engine, freezes)
		})
	}
}
