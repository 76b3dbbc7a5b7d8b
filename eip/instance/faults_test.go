package instance_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// except answers one path with a status, and everything else with rest.
func except(path string, status int, rest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			http.Error(w, "", status)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// The metadata service answers, but not one of the questions that the identity is made of: the error names that question, and nobody
// is sent to look for a hop limit.
func TestAnItemThatCannotBeReadIsNamed(t *testing.T) {
	of := "/latest/meta-data/network/interfaces/macs/" + machine.MAC + "/"
	for path, says := range map[string]string{
		"/latest/dynamic/instance-identity/document": "the instance metadata service at http://169.254.169.254: ",
		"/latest/meta-data/mac":                      "read mac of the instance metadata",
		of + "interface-id":                          "interface-id of the instance metadata",
		of + "local-ipv4s":                           "local-ipv4s of the instance metadata",
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := instance.Discover(t.Context(), config(except(path, http.StatusInternalServerError, sim.NewMetadata(machine))))
			require.ErrorContains(t, err, says)
			require.NotErrorIs(t, err, instance.ErrHopLimit)
		})
	}
}

// Each item without which nothing can be claimed is named if it is not there.
func TestAnItemThatIsMissingIsNamed(t *testing.T) {
	for item, without := range map[string]func(*sim.Machine){
		"region":          func(m *sim.Machine) { m.Region = "" },
		"instance id":     func(m *sim.Machine) { m.Instance = " " },
		"private address": func(m *sim.Machine) { m.PrivateIP = "" },
	} {
		m := machine
		without(&m)
		_, err := instance.Discover(t.Context(), config(sim.NewMetadata(m)))
		require.EqualError(t, err, "the instance metadata service tells no "+item)
	}
}

// A service that answers to version 1, too, is there: what a container lacks is the token of version 2.
func TestTheHopLimitBesideVersionOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sim.NewMetadata(machine)
		s.Hops(2, 1)
		_, err := instance.Discover(t.Context(), config(except("/latest/meta-data/", http.StatusOK, s)))
		require.ErrorIs(t, err, instance.ErrHopLimit)
	})
}

// failing is a client whose requests all end with an error.
type failing struct{ err error }

func (f failing) Do(*http.Request) (*http.Response, error) { return nil, f.err }

// Off EC2 the error has the cause in a few words, and the address that was asked.
func TestTheCauseIsBrief(t *testing.T) {
	for says, err := range map[string]error{
		": no answer":              errors.New("dial tcp 169.254.169.254:80: i/o timeout"),
		": host is down":           errors.New("dial tcp 169.254.169.254:80: connect: host is down"),
		": network is unreachable": errors.New("connect: network is unreachable"),
		"it is shut":               errors.New("it is shut"),
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := instance.Discover(t.Context(), aws.Config{HTTPClient: failing{err}})
			require.ErrorIs(t, err, instance.ErrNotEC2)
			require.ErrorContains(t, err, says+"); an Elastic IP can be claimed on EC2 only")
			require.ErrorContains(t, err, " (http://169.254.169.254: ")
		})
	}
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6")
	synctest.Test(t, func(t *testing.T) {
		_, err := instance.Discover(t.Context(), aws.Config{HTTPClient: failing{errors.New("connect: no route to host")}})
		require.ErrorContains(t, err, " (http://[fd00:ec2::254]: no route to host); ")
	})
}

// counting is a client that counts the answers whose bodies nobody has closed.
type counting struct {
	aws.HTTPClient
	open int
}

type countedBody struct {
	io.ReadCloser
	closed func()
}

func (b *countedBody) Close() error {
	b.closed()
	b.closed = func() {}
	return b.ReadCloser.Close()
}

func (c *counting) Do(r *http.Request) (*http.Response, error) {
	answer, err := c.HTTPClient.Do(r)
	if err == nil {
		c.open++
		answer.Body = &countedBody{answer.Body, func() { c.open-- }}
	}
	return answer, err
}

// A body that stays open costs a connection, for ever, at each question of a daemon that asks every few seconds.
func TestEveryAnswerIsClosed(t *testing.T) {
	t.Setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/abc")
	s := sim.NewMetadata(machine)
	s.Set("autoscaling/target-lifecycle-state", "InService")
	mux := http.NewServeMux()
	mux.Handle("/latest/", s)
	mux.HandleFunc("/v4/abc", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) })
	mux.HandleFunc("/v4/abc/task", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{}`) })
	client := &counting{HTTPClient: sim.InProcess{Handler: mux}}
	_, err := instance.Discover(t.Context(), aws.Config{HTTPClient: client})
	require.NoError(t, err)
	m := instance.NewMetadata(aws.Config{HTTPClient: client})
	_, err = m.TargetState(t.Context())
	require.NoError(t, err)
	_, err = m.PublicIPv4(t.Context())
	require.NoError(t, err)
	require.Zero(t, client.open)
}

// An item that is not what it should be, and one that cannot be read, are errors. Neither is taken for one that is not there, which
// would mean: no address, no notice, no state.
func TestItemsThatAreWrongAreErrors(t *testing.T) {
	ask := map[string]func(context.Context, *instance.Metadata) error{
		"public-ipv4": func(ctx context.Context, m *instance.Metadata) error {
			_, err := m.PublicIPv4(ctx)
			return err
		},
		"autoscaling/target-lifecycle-state": func(ctx context.Context, m *instance.Metadata) error {
			_, err := m.TargetState(ctx)
			return err
		},
		"spot/instance-action": func(ctx context.Context, m *instance.Metadata) error {
			_, err := m.Interrupted(ctx)
			return err
		},
		"events/recommendations/rebalance": func(ctx context.Context, m *instance.Metadata) error {
			_, err := m.RebalanceAdvised(ctx)
			return err
		},
	}
	for path, question := range ask {
		synctest.Test(t, func(t *testing.T) {
			s, m := metadata()
			s.Set(path, "<html>not found</html>")
			require.Error(t, question(t.Context(), m), path)

			m = instance.NewMetadata(config(except("/latest/meta-data/"+path, http.StatusInternalServerError, s)))
			require.ErrorContains(t, question(t.Context(), m), "read "+path+" of the instance metadata: ")
		})
	}
}

// A service that is none, and sends without end, is not read for ever.
func TestAnItemIsReadInPartIfItIsLong(t *testing.T) {
	s, m := metadata()
	s.Set("public-ipv4", strings.Repeat("9", 1<<20))
	_, err := m.PublicIPv4(t.Context())
	require.Error(t, err)
	require.Less(t, len(err.Error()), 1<<16+100)
}

// What ECS says of a task decides whether an address is claimed. If it cannot be read, none is.
func TestTaskMetadataThatCannotBeRead(t *testing.T) {
	const uri = "http://169.254.170.2/v4/abc"
	good := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/latest/") {
			sim.NewMetadata(machine).ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, `{}`)
	})
	long := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"Pad":"`+strings.Repeat("x", 1<<20)+`","LaunchType":"EC2"}`)
	})
	for name, c := range map[string]struct {
		uri     string
		handler http.Handler
		says    string
	}{
		"the task's answer is an error": {uri, except("/v4/abc/task", 500, good), "read the metadata of the ECS task: " + uri + "/task answered 500"},
		"the container's answer is one": {uri, except("/v4/abc", 404, good), "read the metadata of the ECS task: " + uri + " answered 404"},
		"it is no URL":                  {"http://[::1", good, "ECS_CONTAINER_METADATA_URI_V4: "},
		"it is longer than 1 MiB":       {uri, long, "read the metadata of the ECS task: unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("ECS_CONTAINER_METADATA_URI_V4", c.uri)
			_, err := instance.Discover(t.Context(), config(c.handler))
			require.ErrorContains(t, err, c.says)
		})
	}
	t.Run("nobody answers", func(t *testing.T) {
		t.Setenv("ECS_CONTAINER_METADATA_URI_V4", uri)
		_, err := instance.Discover(t.Context(), aws.Config{HTTPClient: failing{errors.New("connection refused")}})
		require.EqualError(t, err, "read the metadata of the ECS task: connection refused")
	})
}

// emptyAWS is an environment of the SDK that says nothing.
func emptyAWS(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none,
		"AWS_EC2_METADATA_DISABLED": "", "ECS_CONTAINER_METADATA_URI_V4": "", "AWS_EXECUTION_ENV": "",
	} {
		t.Setenv(name, value)
	}
}

// served is a metadata service behind a port, and where the SDK asks.
func served(t *testing.T, h http.Handler) *httptest.Server {
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL+"/")
	return server
}

// The region of the environment wins over that of the machine. Without one the machine's is used, whoever tells it.
func TestTheRegionOfTheConfiguration(t *testing.T) {
	emptyAWS(t)
	served(t, sim.NewMetadata(machine))
	cfg, id, err := instance.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, "eu-west-1", cfg.Region)
	require.Equal(t, "i-0a", id.Instance)
	cfg, err = instance.LoadAs(t.Context(), instance.Identity{Region: "ap-south-1"})
	require.NoError(t, err)
	require.Equal(t, "ap-south-1", cfg.Region)

	t.Setenv("AWS_REGION", "us-east-1")
	cfg, _, err = instance.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, "us-east-1", cfg.Region)
	cfg, err = instance.LoadAs(t.Context(), instance.Identity{Region: "ap-south-1"})
	require.NoError(t, err)
	require.Equal(t, "us-east-1", cfg.Region)
}

// A profile that there is not is an error of the environment, and not one of the machine.
func TestAConfigurationThatCannotBeLoaded(t *testing.T) {
	emptyAWS(t)
	served(t, sim.NewMetadata(machine))
	t.Setenv("AWS_PROFILE", "none")
	_, id, err := instance.Load(t.Context())
	require.ErrorContains(t, err, "load the AWS configuration: ")
	require.Zero(t, id)
}

// A task's metadata are read by a client of its own if the configuration has none.
func TestATaskOverANetwork(t *testing.T) {
	emptyAWS(t)
	mux := http.NewServeMux()
	mux.Handle("/latest/", sim.NewMetadata(machine))
	mux.HandleFunc("/v4/abc/task", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"LaunchType":"FARGATE"}`) })
	t.Setenv("ECS_CONTAINER_METADATA_URI_V4", served(t, mux).URL+"/v4/abc")
	_, _, err := instance.Load(t.Context())
	require.ErrorIs(t, err, instance.ErrTask)
}

// Present says whether it is worth asking who this machine is. Any answer is one, and no answer takes a second.
func TestPresent(t *testing.T) {
	emptyAWS(t)
	s := sim.NewMetadata(machine)
	server := served(t, s)
	require.NoError(t, instance.Present(t.Context()), "401: no token")
	s.Fail(http.StatusForbidden)
	require.NoError(t, instance.Present(t.Context()), "a refusal is an answer")
	server.Close()
	err := instance.Present(t.Context())
	require.ErrorIs(t, err, instance.ErrNotEC2)
	require.ErrorContains(t, err, " ("+server.URL+": connection refused)")

	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and nobody reads them
	require.NoError(t, err)
	defer silent.Close()
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://"+silent.Addr().String())
	began := time.Now()
	err = instance.Present(t.Context())
	require.ErrorIs(t, err, instance.ErrNotEC2)
	require.ErrorContains(t, err, ": no answer)")
	require.Less(t, time.Since(began), 3*time.Second)

	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://[::1")
	require.ErrorIs(t, instance.Present(t.Context()), instance.ErrNotEC2)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "True")
	require.ErrorIs(t, instance.Present(t.Context()), instance.ErrDisabled)
	t.Setenv("ECS_CONTAINER_METADATA_URI_V4", "http://169.254.170.2/v4/abc")
	require.NoError(t, instance.Present(t.Context()), "ECS has metadata of its own")
}
