package relay

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What StopAccepting asked of a loop that Close was just ending was never done, and it never returned.
func TestStopAcceptingBesideClose(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			for range 30 {
				r := newRig(t, engine, loopback4)
				relay := r.start()
				var both sync.WaitGroup
				both.Go(func() { relay.Close(Operator) })
				stop := time.Now().Add(5 * time.Millisecond)
				both.Go(func() {
					for time.Now().Before(stop) {
						relay.StopAccepting()
					}
				})
				done := make(chan struct{})
				go func() { both.Wait(); close(done) }()
				select {
				case <-done:
				case <-time.After(patience):
					require.Fail(t, "still not returned")
				}
			}
		})
	}
}
