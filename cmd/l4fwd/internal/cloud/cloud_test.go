package cloud

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

func TestADrainReleasesAfterTheLastConnectionAndThenCompletesTheHook(t *testing.T) {
	under(t, launched, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"claimed", "CompleteLifecycleAction up CONTINUE"}, s.order)
		require.NoError(t, s.isReady())
		require.Equal(t, releaseTimeout+signalPatience, s.LeaveTime())
		s.asg.Terminate("i-1")
		require.Equal(t, "lifecycle: Auto Scaling terminates the instance", <-s.asked)
		require.Equal(t, releaseTimeout+hookPatience, s.LeaveTime(), "it may have to wait for the load balancer")
		time.AfterFunc(time.Minute, func() {
			require.True(t, s.held(), "not before the connections end")
			close(s.idle)
		})
		require.NoError(t, s.drains(t.Context()))
		require.Equal(t, []string{"claimed", "CompleteLifecycleAction up CONTINUE", "RecordLifecycleActionHeartbeat down", "released", "CompleteLifecycleAction down CONTINUE"}, s.order)
		require.Equal(t, "Terminated", s.asg.State("i-1"))
	})
}

func TestASecondSignalStillReleases(t *testing.T) {
	under(t, plain, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		require.True(t, s.held())
		begun := time.Now()
		require.NoError(t, s.drains(secondSignal(t, time.Second)))
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
			under(t, plain, func(t *testing.T, s *sky) {
				time.Sleep(time.Minute)
				s.ec2.Configure(func(o *sim.EC2Options) { o.Fault = func(sim.Call) sim.Fault { return sim.Unreachable } })
				close(s.idle)
				ctx := t.Context()
				if c.again > 0 {
					ctx = secondSignal(t, c.again)
				}
				begun := time.Now()
				require.ErrorContains(t, s.drains(ctx), "the Elastic IP was not released: ")
				require.LessOrEqual(t, time.Since(begun), c.most)
				require.True(t, s.held())
				require.Equal(t, 1, s.lines.FilterMessage("the Elastic IP was not released").Len())
			})
		})
	}
}

func TestAHookThatNeverWaitsDoesNotHoldUpASignal(t *testing.T) {
	under(t, launched, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		s.asg.Deregistering("i-1")
		close(s.idle)
		begun := time.Now()
		require.NoError(t, s.drains(t.Context()))
		require.LessOrEqual(t, time.Since(begun), signalPatience+time.Second)
		require.Equal(t, "Terminating", s.asg.State("i-1"))
		require.Equal(t, 1, s.lines.FilterMessageSnippet("leaving with the lifecycle hook open").Len())
	})
}

// An instance of the warm pool holds no address. One that returns to it lets its connections end first.
func TestTheWarmPoolHoldsNoAddress(t *testing.T) {
	warm := func(s *sky) { s.asg.LaunchWarm("aoai", "i-1", s.imds, "Warmed:Running") }
	under(t, warm, func(t *testing.T, s *sky) {
		time.Sleep(10 * time.Minute)
		require.False(t, s.held())
		require.ErrorContains(t, s.conditions["lifecycle"](), "the instance is in the warm pool")
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
		close(s.idle)
		time.Sleep(10 * time.Second)
		require.False(t, s.held())
		require.Equal(t, "Warmed:Running", s.asg.State("i-1"))
		require.Empty(t, s.asked)
	})
}

// The release of an instance that goes to the warm pool waited for the drain.timeout of the start, whatever a reload had made
// of it.
func TestTheWarmPoolWaitsForTheDrainTimeoutInUse(t *testing.T) {
	under(t, launched, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		s.drainTimeout.Store(int64(time.Hour)) // a reload
		s.asg.Reuse("i-1", "Warmed:Running")
		time.Sleep(55 * time.Minute)
		require.True(t, s.held(), "the connections have an hour now")
		time.Sleep(10 * time.Minute)
		require.False(t, s.held())
		lost := s.lines.FilterMessageSnippet("connections lose their public address").All()
		require.Len(t, lost, 1)
		require.Equal(t, int64(3), lost[0].ContextMap()["connections"])
	})
}

func TestAReleaseForTheWarmPoolIsTriedUntilItSucceeds(t *testing.T) {
	under(t, launched, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		s.ec2.Configure(func(o *sim.EC2Options) { o.Denied = map[string]bool{"DisassociateAddress": true} })
		close(s.idle)
		s.asg.Reuse("i-1", "Warmed:Running")
		time.Sleep(2 * time.Minute)
		require.True(t, s.held())
		require.Positive(t, s.lines.FilterMessageSnippet("trying again").Len())
		require.Equal(t, "Warmed:Pending:Wait", s.asg.State("i-1"))
		s.ec2.Configure(func(o *sim.EC2Options) { o.Denied = nil })
		time.Sleep(time.Minute)
		require.False(t, s.held())
		require.Equal(t, "Warmed:Running", s.asg.State("i-1"))
	})
}

// A return into service while the connections of before still end: the address stays.
func TestBackFromTheWarmPoolBeforeTheAddressWasReleased(t *testing.T) {
	under(t, launched, func(t *testing.T, s *sky) {
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
	under(t, plain, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		by := time.Now().Add(2 * time.Minute)
		s.imds.Interrupt("stop", by)
		require.Contains(t, <-s.asked, "Spot takes the instance away (stop)")
		require.NoError(t, s.drains(t.Context())) // connections stay
		require.False(t, s.held())
		require.WithinRange(t, time.Now(), by.Add(-awayReserve), by.Add(-awayReserve/2))
	})
}

// Advised to leave, it has all of drain.timeout, until Spot says by when it takes the instance.
func TestAnInterruptionShortensTheDrainThatRuns(t *testing.T) {
	under(t, plain, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		s.imds.Rebalance(time.Now())
		require.Contains(t, <-s.asked, "Spot advises")
		by := time.Now().Add(3 * time.Minute).Truncate(time.Second)
		time.AfterFunc(time.Minute, func() { s.imds.Interrupt("terminate", by) })
		require.NoError(t, s.drains(t.Context())) // connections stay
		require.False(t, s.held())
		require.WithinRange(t, time.Now(), by.Add(-awayReserve), by.Add(-awayReserve/2))
	})
}

func TestStandbyKeepsTheAddress(t *testing.T) {
	under(t, launched, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		s.asg.Standby("i-1")
		time.Sleep(time.Minute)
		require.True(t, s.held())
		require.ErrorContains(t, s.conditions["lifecycle"](), "Auto Scaling has put the instance on standby")
		s.asg.Return("i-1")
		time.Sleep(time.Minute)
		require.NoError(t, s.isReady())
	})
}

func TestWithLifecycleOffTheMetadataAreNotWatched(t *testing.T) {
	off := func(s *sky) { s.o.Groups, s.o.Spot = false, false }
	under(t, off, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		require.True(t, s.held())
		require.Zero(t, s.imds.Asked("autoscaling/target-lifecycle-state"))
		require.Zero(t, s.imds.Asked("spot/instance-action"))
		require.Nil(t, s.Status().Lifecycle)
		stats, state := s.Stats()
		require.True(t, stats.Held)
		require.Nil(t, state)
		require.NotContains(t, s.conditions, "lifecycle")
		close(s.idle)
		require.NoError(t, s.drains(t.Context()))
		require.False(t, s.held())
	})
}

func TestStatusAndStats(t *testing.T) {
	under(t, launched, func(t *testing.T, s *sky) {
		time.Sleep(time.Minute)
		now := s.Status()
		require.Equal(t, "i-1", now.Instance.Instance)
		require.NotNil(t, now.EIP.Hold)
		require.Equal(t, lifecycle.State("in_service"), now.Lifecycle.State)
		require.Equal(t, "aoai", now.Lifecycle.Group)
		stats, state := s.Stats()
		require.True(t, stats.Held)
		require.Equal(t, uint64(1), stats.Changes)
		require.Equal(t, now.Lifecycle.State, *state)
	})
}

// A daemon without a pool, and one that can have no address, do nothing here, and nothing fails.
func TestNobodyInTheSky(t *testing.T) {
	var none *Cloud
	for name, c := range map[string]*Cloud{"no pool": none, "no address": {fault: errors.New("this machine is no EC2 instance")}} {
		c.Register(func(string, func() error) { t.Error(name + ": a condition") })
		stop := c.Run()
		c.Settle()
		c.BeforeAway(func() { t.Error(name + ": away") })()
		require.Zero(t, c.LeaveTime(), name)
		require.NoError(t, c.Leave(t.Context()), name)
		stats, state := c.Stats()
		require.Nil(t, stats, name)
		require.Nil(t, state, name)
		stop()
	}
	require.Equal(t, Status{}, none.Status())
	require.Equal(t, &eip.Status{Wanted: true, Reason: "no EC2"}, (&Cloud{fault: errors.New("no EC2")}).Status().EIP)
}

func TestWhereThereCanBeNoAddress(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("ECS_CONTAINER_METADATA_URI_V4", "")
	_, err := Locate(Options{Required: true, Logger: zap.NewNop()})
	require.ErrorIs(t, err, instance.ErrDisabled)
	require.ErrorContains(t, err, "eip.pool: ")
	require.ErrorContains(t, err, "; with eip.required: false l4fwd serves without an address")
	c, err := Locate(Options{Logger: zap.NewNop()})
	require.NoError(t, err)
	require.True(t, c.absent())
	require.ErrorIs(t, c.fault, instance.ErrDisabled)
}

func TestAnInstanceWithoutAPrivateAddress(t *testing.T) {
	metadata := instance.NewMetadata(aws.Config{})
	_, err := New(Options{}, instance.Identity{PrivateIP: "nonsense"}, metadata, eip.NewClient(aws.Config{}), lifecycle.NewClient(aws.Config{}))
	require.Error(t, err)
}

// A context that was cut short gets its grace from then on, and no more than its limit.
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
