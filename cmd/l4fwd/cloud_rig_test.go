package main

import (
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// sky is a daemon with a fake forwarder on an instance of simulated AWS, in simulated time.
type sky struct {
	*daemon
	fwd  *fakeForwarder
	ec2  *sim.EC2
	asg  *sim.AutoScaling
	imds *sim.Metadata

	mu    sync.Mutex
	order []string
}

func (s *sky) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = append(s.order, what)
}

func (s *sky) held() bool { return len(s.ec2.Holders()) == 1 }

// underSky runs a test of a daemon whose cloud runs, in a group with a hook of each kind.
func underSky(t *testing.T, arrange func(*sky), test func(*testing.T, *sky)) {
	synctest.Test(t, func(t *testing.T) {
		s := &sky{ec2: sim.NewEC2(sim.EC2Options{}), asg: sim.NewAutoScaling()}
		s.daemon, s.fwd = newFakeDaemon(t)
		s.cfg.EIP = config.EIP{Pool: taggedPool(t), Required: true, Release: config.ReleaseShutdown, VerifyInterval: 30 * time.Second}
		s.cfg.Lifecycle = config.Lifecycle{ASG: "auto", Spot: "auto"}
		who := sim.Machine{Region: "eu-west-1", Account: "123456789012", Instance: "i-1", MAC: "02:00:00:00:00:01", Interface: "eni-1", PrivateIP: "10.0.0.1"}
		s.imds = sim.NewMetadata(who)
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
		arrange(s)
		client := func(h aws.HTTPClient) aws.Config {
			return aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: h}
		}
		var err error
		s.cloud, err = s.place(instance.Identity{Region: "eu-west-1", Account: "123456789012", Instance: "i-1", Interface: "eni-1", PrivateIP: "10.0.0.1"},
			instance.NewMetadata(client(sim.InProcess{Handler: s.imds})),
			eip.NewClient(client(&http.Client{Transport: s.ec2.Transport()})), lifecycle.NewClient(client(sim.InProcess{Handler: s.asg})))
		require.NoError(t, err)
		s.cloud.register()
		stop := s.cloud.run()
		synctest.Wait()
		test(t, s)
		stop()
	})
}

// taggedPool selects the addresses that the simulated EC2 has.
func taggedPool(t *testing.T) eip.Selector {
	t.Helper()
	pool, err := eip.ParseSelector("tag-key:aoai_eip")
	require.NoError(t, err)
	return pool
}

// idleCloud is one that does nothing.
func idleCloud(t *testing.T, d *daemon) *presence {
	t.Helper()
	d.cfg.EIP.Pool = taggedPool(t)
	c, err := d.place(instance.Identity{PrivateIP: "10.0.0.1"}, instance.NewMetadata(aws.Config{}), eip.NewClient(aws.Config{}), lifecycle.NewClient(aws.Config{}))
	require.NoError(t, err)
	return c
}

func launchedSky(s *sky) { s.asg.Launch("aoai", "i-1", s.imds) }
