package main

import (
	"bytes"
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/eip/sim"
)

func TestADrainReleasesBehindTheLastConnectionAndThenCompletesTheHook(t *testing.T) {
	underSky(t, launchedSky, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"claimed", "CompleteLifecycleAction up CONTINUE"}, s.order)
		require.NoError(t, s.isReady())
		s.asg.Terminate("i-1")
		var who string
		for who == "" {
			select {
			case who = <-s.asked:
			case <-time.After(time.Minute):
				t.Fatal("no drain was asked for")
			}
		}
		require.Equal(t, "lifecycle: Auto Scaling terminates the instance", who)
		time.AfterFunc(time.Minute, func() {
			require.True(t, s.held(), "not before the connections end")
			close(s.fwd.idle)
		})
		require.NoError(t, s.drain(who, &signals{end: make(chan os.Signal, 2)}))
		require.Equal(t, []string{"close warm", "stop accepting", "wait", "close operator"}, s.fwd.calls)
		require.Equal(t, []string{"claimed", "CompleteLifecycleAction up CONTINUE", "RecordLifecycleActionHeartbeat down", "released", "CompleteLifecycleAction down CONTINUE"}, s.order)
		require.Equal(t, "Terminated", s.asg.State("i-1"))
	})
}

func TestASecondSignalStillReleases(t *testing.T) {
	underSky(t, func(*sky) {}, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		require.True(t, s.held())
		sig := &signals{end: make(chan os.Signal, 2)}
		time.AfterFunc(time.Second, func() { sig.end <- syscall.SIGTERM })
		begun := time.Now()
		require.NoError(t, s.drain("test", sig))
		require.False(t, s.held())
		require.Less(t, time.Since(begun), 2*time.Second)
	})
}

func TestAReleaseThatDoesNotSucceedIsBounded(t *testing.T) {
	cases := map[string]struct {
		again time.Duration // when the second signal comes; 0: never
		most  time.Duration
	}{
		"one signal":  {0, releaseTimeout + time.Second},
		"two signals": {time.Second, cutRelease + 2*time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			underSky(t, func(*sky) {}, func(t *testing.T, s *sky) {
				time.Sleep(time.Minute)
				s.ec2.Configure(func(o *sim.EC2Options) { o.Fault = func(sim.Call) sim.Fault { return sim.Unreachable } })
				close(s.fwd.idle)
				s.cfg.Drain.LameDuck = 0
				sig := &signals{end: make(chan os.Signal, 2)}
				if c.again > 0 {
					time.AfterFunc(c.again, func() { sig.end <- syscall.SIGTERM })
				}
				begun := time.Now()
				require.ErrorContains(t, s.drain("test", sig), "the Elastic IP was not released: ")
				require.LessOrEqual(t, time.Since(begun), c.most)
				require.True(t, s.held())
			})
		})
	}
}

func TestAHookThatNeverWaitsDoesNotHoldUpASignal(t *testing.T) {
	underSky(t, launchedSky, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		s.asg.Deregistering("i-1")
		close(s.fwd.idle)
		begun := time.Now()
		require.NoError(t, s.drain("test", &signals{end: make(chan os.Signal, 2)}))
		require.LessOrEqual(t, time.Since(begun), 5*time.Second+signalPatience+time.Second, "lame duck, then the patience")
		require.Equal(t, "Terminating", s.asg.State("i-1"))
	})
}

// An instance of the warm pool holds no address; one that returns to it lets its connections end first.
func TestTheWarmPoolHoldsNoAddress(t *testing.T) {
	warm := func(s *sky) { s.asg.LaunchWarm("aoai", "i-1", s.imds, "Warmed:Running") }
	underSky(t, warm, func(t *testing.T, s *sky) {
		time.Sleep(10 * time.Minute)
		require.False(t, s.held())
		require.ErrorContains(t, s.isReady(), "lifecycle: the instance is in the warm pool")
		require.Equal(t, "Warmed:Running", s.asg.State("i-1"))

		s.asg.Use("i-1")
		time.Sleep(time.Minute)
		require.True(t, s.held())
		require.Equal(t, "InService", s.asg.State("i-1"))
		require.NoError(t, s.isReady())

		s.asg.Reuse("i-1", "Warmed:Running")
		time.Sleep(time.Minute)
		require.True(t, s.held(), "a connection is open")
		require.Equal(t, "Warmed:Pending:Wait", s.asg.State("i-1"))
		close(s.fwd.idle)
		time.Sleep(10 * time.Second)
		require.False(t, s.held())
		require.Equal(t, "Warmed:Running", s.asg.State("i-1"))
		require.False(t, s.draining.Load())
	})
}

// A return into service while the connections of before still end: the address stays.
func TestBackFromTheWarmPoolBeforeTheAddressWasReleased(t *testing.T) {
	underSky(t, launchedSky, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		s.asg.Reuse("i-1", "Warmed:Running")
		time.Sleep(time.Minute)
		s.asg.Use("i-1")
		time.Sleep(10 * time.Minute)
		require.True(t, s.held())
		require.NotContains(t, s.order, "released")
		require.NoError(t, s.isReady())
	})
}

func TestADrainIsOverBeforeSpotTakesTheInstance(t *testing.T) {
	underSky(t, func(*sky) {}, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		by := time.Now().Add(2 * time.Minute)
		s.imds.Interrupt("stop", by)
		who := <-s.asked
		require.Contains(t, who, "Spot takes the instance away (stop)")
		require.NoError(t, s.drain(who, &signals{end: make(chan os.Signal, 2)})) // connections stay
		require.Equal(t, "close drain_timeout", s.fwd.calls[3])
		require.False(t, s.held())
		require.WithinRange(t, time.Now(), by.Add(-awayReserve), by.Add(-awayReserve/2))
	})
}

// Advised to leave, it has all of drain.timeout, until Spot says by when it takes the instance.
func TestAnInterruptionShortensTheDrainThatRuns(t *testing.T) {
	underSky(t, func(*sky) {}, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		s.imds.Rebalance(time.Now())
		who := <-s.asked
		require.Contains(t, who, "Spot advises")
		by := time.Now().Add(3 * time.Minute).Truncate(time.Second)
		time.AfterFunc(time.Minute, func() { s.imds.Interrupt("terminate", by) })
		require.NoError(t, s.drain(who, &signals{end: make(chan os.Signal, 2)})) // connections stay
		require.False(t, s.held())
		require.WithinRange(t, time.Now(), by.Add(-awayReserve), by.Add(-awayReserve/2))
	})
}

func TestStandbyKeepsTheAddress(t *testing.T) {
	underSky(t, launchedSky, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		s.asg.Standby("i-1")
		time.Sleep(time.Minute)
		require.True(t, s.held())
		require.ErrorContains(t, s.isReady(), "lifecycle: Auto Scaling has put the instance on standby")
		s.asg.Return("i-1")
		time.Sleep(time.Minute)
		require.NoError(t, s.isReady())
	})
}

func TestWithLifecycleOffTheMetadataAreNotWatched(t *testing.T) {
	off := func(s *sky) { s.cfg.Lifecycle = config.Lifecycle{ASG: "off", Spot: "off"} }
	underSky(t, off, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		require.True(t, s.held())
		require.Zero(t, s.imds.Asked("autoscaling/target-lifecycle-state"))
		require.Zero(t, s.imds.Asked("spot/instance-action"))
		require.Nil(t, s.state().Lifecycle)
		close(s.fwd.idle)
		require.NoError(t, s.drain("test", &signals{end: make(chan os.Signal, 2)}))
		require.False(t, s.held())
	})
}

func TestTheCloudInStatusAndMetrics(t *testing.T) {
	underSky(t, launchedSky, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		var out bytes.Buffer
		writeState(&out, s.state())
		require.Regexp(t, `(?m)^elastic IP [0-9.]+ \(eipalloc-[0-9a-z]+\) for (5\d|1m).*, verified \d+(\.\d)?m?s ago; i-1, eni-1, eu-west-1$`, out.String())
		require.Contains(t, out.String(), "\nlifecycle in_service; group aoai; hooks up (launch), down (terminate)\n")
		text := scrapeText(t, s.daemon)
		for _, want := range []string{
			"l4fwd_eip_held 1\n", `l4fwd_eip_operations_total{operation="associate",result="ok"} 1`, `l4fwd_eip_operations_total{operation="disassociate",result="denied"} 0`,
			"l4fwd_eip_changes_total 1\n", `l4fwd_lifecycle_state{state="in_service"} 1`, `l4fwd_lifecycle_state{state="standby"} 0`,
		} {
			require.Contains(t, text, want)
		}
	})
}

// One that was cut short gets its grace from then on, and no more than its limit.
func TestBounded(t *testing.T) {
	cases := map[string]struct{ cutAfter, ends time.Duration }{
		"not cut":       {0, time.Minute},
		"cut":           {5 * time.Second, 7 * time.Second},
		"cut too late":  {59 * time.Second, time.Minute},
		"cut before it": {-1, 2 * time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cut := context.WithCancel(t.Context())
				defer cut()
				if c.cutAfter < 0 {
					cut()
				} else if c.cutAfter > 0 {
					time.AfterFunc(c.cutAfter, cut)
				}
				begun := time.Now()
				own, cancel := bounded(ctx, time.Minute, 2*time.Second)
				defer cancel()
				<-own.Done()
				require.Equal(t, c.ends, time.Since(begun))
			})
		})
	}
}
