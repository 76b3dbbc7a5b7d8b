package instance_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var machine = sim.Machine{
	Region: "eu-west-1", Account: "123456789012", Instance: "i-0a", MAC: "02:00:00:00:00:01", Interface: "eni-0a", PrivateIP: "10.0.0.7",
}

func config(h http.Handler) aws.Config { return aws.Config{HTTPClient: sim.InProcess{Handler: h}} }

// metadata is the simulation and a reader of it.
func metadata() (*sim.Metadata, *instance.Metadata) {
	s := sim.NewMetadata(machine)
	return s, instance.NewMetadata(config(s))
}

func TestDiscoverTellsWhoTheInstanceIs(t *testing.T) {
	s := sim.NewMetadata(machine)
	s.Set("network/interfaces/macs/"+machine.MAC+"/local-ipv4s", "10.0.0.7\n10.0.0.8\n")
	id, err := instance.Discover(t.Context(), config(s))
	require.NoError(t, err)
	require.Equal(t, instance.Identity{Region: "eu-west-1", Account: "123456789012", Instance: "i-0a", Interface: "eni-0a", PrivateIP: "10.0.0.7"}, id)

	s.Set("network/interfaces/macs/"+machine.MAC+"/interface-id", "")
	_, err = instance.Discover(t.Context(), config(s))
	require.ErrorContains(t, err, "tells no interface id")
}

func TestDiscoverSaysWhyThereIsNoIdentity(t *testing.T) {
	cases := map[string]struct {
		arrange func(*sim.Metadata)
		env     string // AWS_EC2_METADATA_DISABLED
		is      error
		says    []string
	}{
		"hop limit": {arrange: func(s *sim.Metadata) { s.Hops(2, 1) }, is: instance.ErrHopLimit,
			says: []string{"--http-put-response-hop-limit 2", "network of the host"}},
		"switched off for the instance": {arrange: func(s *sim.Metadata) { s.Fail(403) }, is: instance.ErrDisabled, says: []string{"--http-endpoint enabled"}},
		"out of order":                  {arrange: func(s *sim.Metadata) { s.Fail(500) }, says: []string{"http://169.254.169.254 answers 500"}},
		"switched off in the environment": {arrange: func(*sim.Metadata) {}, env: "TRUE", is: instance.ErrDisabled,
			says: []string{"AWS_EC2_METADATA_DISABLED=true: remove it"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_EC2_METADATA_DISABLED", c.env)
			synctest.Test(t, func(t *testing.T) {
				s := sim.NewMetadata(machine)
				c.arrange(s)
				_, err := instance.Discover(t.Context(), config(s))
				if c.is != nil {
					require.ErrorIs(t, err, c.is)
				}
				for _, says := range c.says {
					require.ErrorContains(t, err, says)
				}
			})
		})
	}
}

func TestDiscoverThroughTwoHopsWithALimitOfTwo(t *testing.T) {
	s := sim.NewMetadata(machine)
	s.Hops(2, 2)
	_, err := instance.Discover(t.Context(), config(s))
	require.NoError(t, err)
}

// unreachable is a network without a metadata service.
type unreachable struct{}

func (unreachable) Do(*http.Request) (*http.Response, error) {
	return nil, errors.New("dial tcp 169.254.169.254:80: connect: no route to host")
}

func TestDiscoverOffEC2(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := instance.Discover(t.Context(), aws.Config{HTTPClient: unreachable{}})
		require.ErrorIs(t, err, instance.ErrNotEC2)
		require.ErrorContains(t, err, "(http://169.254.169.254: no route to host)")
		require.ErrorContains(t, err, "set no eip.pool elsewhere")
	})
}

// TestDiscoverOverANetwork takes the client that the SDK makes, with its own timeouts.
func TestDiscoverOverANetwork(t *testing.T) {
	s := sim.NewMetadata(machine)
	server := httptest.NewServer(s)
	defer server.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	id, err := instance.Discover(t.Context(), aws.Config{})
	require.NoError(t, err)
	require.Equal(t, "eni-0a", id.Interface)

	s.Hops(2, 1)
	_, err = instance.Discover(t.Context(), aws.Config{})
	require.ErrorIs(t, err, instance.ErrHopLimit)

	server.Close()
	_, err = instance.Discover(t.Context(), aws.Config{})
	require.ErrorIs(t, err, instance.ErrNotEC2)
	require.ErrorContains(t, err, "("+server.URL+": connection refused)")
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestTasksOfECS(t *testing.T) {
	cases := map[string]struct {
		task, container string
		says            string // empty: taken
	}{
		"host":           {`{"LaunchType":"EC2"}`, `{"Networks":[{"NetworkMode":"host"}]}`, ""},
		"bridge":         {`{"LaunchType":"EC2"}`, `{"Networks":[{"NetworkMode":"bridge","IPv4Addresses":["172.17.0.2"]}]}`, ""},
		"awsvpc on EC2":  {`{"LaunchType":"EC2"}`, `{"Networks":[{"NetworkMode":"awsvpc","IPv4Addresses":["10.0.2.100"]}]}`, "networkMode awsvpc"},
		"Fargate":        {`{"LaunchType":"FARGATE"}`, `{"Networks":[{"NetworkMode":"awsvpc"}]}`, "Fargate"},
		"no task at all": {`[`, ``, "read the metadata of the ECS task"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/abc")
			mux := http.NewServeMux()
			mux.Handle("/latest/", sim.NewMetadata(machine))
			answer := func(body string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
			}
			mux.Handle("/v4/abc", answer(c.container))
			mux.Handle("/v4/abc/task", answer(c.task))
			_, err := instance.Discover(t.Context(), config(mux))
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
			if c.task != "[" {
				require.ErrorIs(t, err, instance.ErrTask)
				require.ErrorContains(t, err, "networkMode host")
				require.ErrorContains(t, err, "NAT gateway")
			}
		})
	}
}

func TestFargateWithoutTaskMetadata(t *testing.T) {
	t.Setenv("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE")
	_, err := instance.Discover(t.Context(), config(sim.NewMetadata(machine)))
	require.ErrorIs(t, err, instance.ErrTask)
}

func TestItemsThatAreNotThereAreNoErrors(t *testing.T) {
	s, m := metadata()
	addr, err := m.PublicIPv4(t.Context())
	require.NoError(t, err)
	require.False(t, addr.IsValid())
	state, err := m.TargetState(t.Context())
	require.NoError(t, err)
	require.Empty(t, state)
	taken, err := m.Interrupted(t.Context())
	require.NoError(t, err)
	require.Nil(t, taken)
	at, err := m.RebalanceAdvised(t.Context())
	require.NoError(t, err)
	require.True(t, at.IsZero())

	when := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	s.Public(func() string { return "203.0.113.7" })
	s.Set("autoscaling/target-lifecycle-state", "Warmed:Stopped")
	s.Interrupt("terminate", when)
	s.Rebalance(when)
	addr, err = m.PublicIPv4(t.Context())
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddr("203.0.113.7"), addr)
	state, err = m.TargetState(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Warmed:Stopped", state)
	taken, err = m.Interrupted(t.Context())
	require.NoError(t, err)
	require.Equal(t, &instance.Interruption{Action: "terminate", Time: when}, taken)
	at, err = m.RebalanceAdvised(t.Context())
	require.NoError(t, err)
	require.Equal(t, when, at)

	s.Set("spot/instance-action", "<html>")
	_, err = m.Interrupted(t.Context())
	require.ErrorContains(t, err, "read spot/instance-action of the instance metadata")
}

func TestATokenThatExpiredEarlyIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, m := metadata()
		s.Set("autoscaling/target-lifecycle-state", "InService")
		for range 3 {
			state, err := m.TargetState(t.Context())
			require.NoError(t, err)
			require.Equal(t, "InService", state)
			s.Expire()
		}
	})
}

func TestAGivenUpQuestionIsNoVerdict(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := instance.Discover(ctx, config(sim.NewMetadata(machine)))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, instance.ErrNotEC2)
}
