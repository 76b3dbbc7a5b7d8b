package cloud

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sky is an instance of simulated AWS with a daemon that has open connections until idle is closed, in simulated time.
type sky struct {
	*Cloud
	o            Options
	ec2          *sim.EC2
	asg          *sim.AutoScaling
	imds         *sim.Metadata
	lines        *observer.ObservedLogs
	conditions   map[string]func() error
	drainTimeout atomic.Int64  // drain.timeout as configured now
	asked        chan string   // who asked for a drain
	idle         chan struct{} // closed: no connection is open

	mu    sync.Mutex
	order []string
}

func (s *sky) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = append(s.order, what)
}

func (s *sky) held() bool { return len(s.ec2.Holders()) == 1 }

func (s *sky) isReady() error {
	for _, check := range s.conditions {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (s *sky) wait(ctx context.Context) error {
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// drains ends the cloud as a daemon does that drains.
func (s *sky) drains(ctx context.Context) error {
	s.Settle()
	waiting, cancel := context.WithTimeout(ctx, s.o.DrainTimeout())
	defer cancel()
	defer s.BeforeAway(cancel)()
	_ = s.wait(waiting)
	return s.Leave(ctx)
}

// under runs a test of an instance whose cloud runs, in a group with a hook of each kind.
func under(t *testing.T, arrange func(*sky), test func(*testing.T, *sky)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSky(t)
		arrange(s)
		client := func(h aws.HTTPClient) aws.Config {
			return aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: h}
		}
		var err error
		s.Cloud, err = New(s.o, instance.Identity{Region: "eu-west-1", Account: "123456789012", Instance: "i-1", Interface: "eni-1", PrivateIP: "10.0.0.1"},
			instance.NewMetadata(client(sim.InProcess{Handler: s.imds})),
			eip.NewClient(client(&http.Client{Transport: s.ec2.Transport()})), lifecycle.NewClient(client(sim.InProcess{Handler: s.asg})))
		require.NoError(t, err)
		s.Register(func(name string, check func() error) { s.conditions[name] = check })
		stop := s.Run()
		synctest.Wait()
		test(t, s)
		stop()
	})
}

func newSky(t *testing.T) *sky {
	pool, err := eip.ParseSelector("tag-key:aoai_eip")
	require.NoError(t, err)
	s := &sky{ec2: sim.NewEC2(sim.EC2Options{}), asg: sim.NewAutoScaling(), conditions: map[string]func() error{}, asked: make(chan string, 1), idle: make(chan struct{})}
	core, lines := observer.New(zap.DebugLevel)
	s.lines = lines
	s.drainTimeout.Store(int64(5 * time.Minute))
	s.o = Options{
		Pool: pool, Required: true, Release: "shutdown", VerifyInterval: 30 * time.Second, Groups: true, Spot: true, Logger: zap.New(core),
		Drain: func(by string) bool {
			s.asked <- by
			return true
		},
		Wait: s.wait, Connections: func() int64 { return 3 }, Ready: s.isReady,
		DrainTimeout: func() time.Duration { return time.Duration(s.drainTimeout.Load()) },
	}
	s.imds = sim.NewMetadata(sim.Machine{Region: "eu-west-1", Account: "123456789012", Instance: "i-1", MAC: "02:00:00:00:00:01", Interface: "eni-1", PrivateIP: "10.0.0.1"})
	s.ec2.AddInterface("eni-1", "i-1", netip.MustParseAddr("10.0.0.1"))
	s.ec2.AddAddress(map[string]string{"aoai_eip": ""})
	s.ec2.OnChange(func(c sim.Change) {
		if c.To == "" {
			s.note("released")
		} else {
			s.note("claimed")
		}
	})
	s.asg.Group("aoai", sim.Hook{Name: "up", Transition: sim.Launching, Timeout: time.Hour}, sim.Hook{Name: "down", Transition: sim.Terminating, Timeout: time.Hour})
	s.asg.OnCall(func(call string) {
		if !strings.HasPrefix(call, "Describe") {
			s.note(call)
		}
	})
	return s
}

func plain(*sky) {}

func launched(s *sky) { s.asg.Launch("aoai", "i-1", s.imds) }

// secondSignal is a context that ends after a while, as that of a drain does with a second signal.
func secondSignal(t *testing.T, after time.Duration) context.Context {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	time.AfterFunc(after, func() { cancel(errors.New("a second signal")) })
	return ctx
}
