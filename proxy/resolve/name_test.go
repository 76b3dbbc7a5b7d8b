package resolve

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A refresh brings the next lookup forward to a second after the last one, and Stats say so; none makes it later.
func TestARefreshBringsTheNextLookupForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{})
		defer r.Close()
		for _, c := range []struct{ sleep, refreshed, want time.Duration }{
			{time.Minute, 300 * time.Millisecond, refreshGap}, {time.Minute, 5 * time.Second, 5 * time.Second}, {500 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond},
		} {
			n := newName(r, "a.test", nil)
			begun := time.Now()
			n.due(c.sleep)
			go func() { defer close(n.done); n.sleep(c.sleep) }()
			time.Sleep(c.refreshed)
			n.Refresh()
			synctest.Wait()
			require.Equal(t, c.want, n.Stats().Next.Sub(begun))
			<-n.done
			require.Equal(t, c.want, time.Since(begun))
			n.Close()
		}
	})
}

// Close waits for the goroutine of the name: nobody is told of an answer afterwards.
func TestCloseWaitsForTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := New(Options{})
		defer r.Close()
		n := newName(r, "a.test", nil)
		closed := make(chan struct{})
		go func() { defer close(closed); n.Close() }()
		synctest.Wait()
		require.Error(t, n.ctx.Err(), "a lookup under way is cut short")
		select {
		case <-closed:
			t.Fatal("it has not waited")
		default:
		}
		close(n.done)
		<-closed
	})
}

func TestWhatIsReadByDefault(t *testing.T) {
	o := Options{}.withDefaults()
	require.Equal(t, [2]string{"/etc/resolv.conf", "/etc/hosts"}, [2]string{o.ResolvConf, o.Hosts})
	require.Equal(t, [3]time.Duration{5 * time.Second, 5 * time.Minute, 2 * time.Second}, [3]time.Duration{o.MinTTL, o.MaxTTL, o.Timeout})
	require.Equal(t, time.Hour, Options{MinTTL: time.Hour}.withDefaults().MaxTTL, "never below the other")
}
