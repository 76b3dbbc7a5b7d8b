package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// region is a region of simulated AWS over HTTP, for real processes.
type region struct {
	ec2    *sim.EC2
	asg    *sim.AutoScaling
	ec2URL string
	asgURL string
	last   int
}

func newRegion(t *testing.T, addresses int, hooks ...sim.Hook) *region {
	t.Helper()
	r := &region{ec2: sim.NewEC2(sim.EC2Options{}), asg: sim.NewAutoScaling()}
	r.asg.Group("aoai", hooks...)
	r.ec2URL, r.asgURL = serving(t, r.ec2), serving(t, r.asg)
	for range addresses {
		r.ec2.AddAddress(map[string]string{"l4fwd-pool": "aoai"})
	}
	return r
}

func serving(t *testing.T, h http.Handler) (url string) {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// machine is an instance with its own metadata service.
type machine struct {
	sim.Machine
	metadata *sim.Metadata
	env      []string
}

// machine adds an instance to the region.
func (r *region) machine(t *testing.T) *machine {
	t.Helper()
	r.last++
	n := r.last
	m := newMachine(t, sim.Machine{
		Region: "eu-west-1", Account: "123456789012", Instance: fmt.Sprintf("i-%d", n), MAC: fmt.Sprintf("02:00:00:00:00:%02d", n),
		Interface: fmt.Sprintf("eni-%d", n), PrivateIP: fmt.Sprintf("10.0.0.%d", n),
	}, r.ec2URL, r.asgURL)
	r.ec2.AddInterface(m.Interface, m.Instance, netip.MustParseAddr(m.PrivateIP))
	m.metadata.Public(func() string {
		if a := r.ec2.PublicIPv4(m.Interface); a.IsValid() {
			return a.String()
		}
		return ""
	})
	return m
}

// newMachine is one with its metadata service, and what a process on it has in its environment.
func newMachine(t *testing.T, who sim.Machine, ec2, asg string) *machine {
	m := &machine{Machine: who, metadata: sim.NewMetadata(who)}
	m.env = []string{
		"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + serving(t, m.metadata), "AWS_ENDPOINT_URL_EC2=" + ec2, "AWS_ENDPOINT_URL_AUTO_SCALING=" + asg,
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"L4FWD_EIP_POOL=tag:l4fwd-pool=aoai", "L4FWD_EIP_VERIFY_INTERVAL=2s", inAHurry + "=200ms",
	}
	return m
}

// state is what status shows.
func (p *process) state(t *testing.T) admin.State {
	t.Helper()
	var s admin.State
	o := l4fwd(t, nil, "status", "--admin", p.admin, "--output", "json")
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &s), o.stderr)
	return s
}

// shows wants a metric with its value.
func (p *process) shows(t *testing.T, line string) {
	t.Helper()
	require.Contains(t, strings.Split(p.get("/metrics"), "\n"), line)
}

// ready waits until the process is.
func (p *process) ready(t *testing.T) *process {
	t.Helper()
	p.eventually(t, func() bool { return p.get("/readyz") == "200 ok\n" })
	return p
}

func TestALaunchAndATerminationInOrder(t *testing.T) {
	t.Parallel()
	r := newRegion(t, 0, sim.Hook{Name: "up", Transition: sim.Launching, Timeout: time.Minute}, sim.Hook{Name: "down", Transition: sim.Terminating, Timeout: 4 * time.Second})
	var mu sync.Mutex
	most := map[string]int{} // how many addresses were held at calls of a kind
	r.asg.OnCall(func(call string) { mu.Lock(); defer mu.Unlock(); most[call] = max(most[call], len(r.ec2.Holders())) })
	held := func(call string) int { mu.Lock(); defer mu.Unlock(); return most[call] }
	m := r.machine(t)
	r.asg.Launch("aoai", m.Instance, m.metadata)

	p := prepare(t, m.env).start(t)
	p.eventually(t, func() bool { return strings.HasPrefix(p.get("/readyz"), "503 eip: ") })
	require.Equal(t, "Pending:Wait", r.asg.State(m.Instance))
	p.eventually(t, func() bool { return p.state(t).Lifecycle.State == lifecycle.Pending })
	r.ec2.AddAddress(map[string]string{"l4fwd-pool": "aoai"})
	p.ready(t)
	p.eventually(t, func() bool { return r.asg.State(m.Instance) == "InService" })
	require.Equal(t, 1, held("CompleteLifecycleAction up CONTINUE"), "the address comes before the hook")

	c := p.dial(t)
	exchange(t, c)
	r.asg.Deregistering(m.Instance) // the load balancer drains
	p.eventually(t, func() bool { return strings.HasPrefix(p.get("/readyz"), "503 ") })
	require.Contains(t, p.get("/readyz"), "lifecycle: Auto Scaling terminates the instance")
	p.eventually(t, func() bool {
		o := l4fwd(t, nil, "status", "--admin", p.admin)
		return strings.Contains(o.stdout, "DRAINING, 1 connections open") &&
			strings.Contains(o.unwrapped(), "lifecycle terminating; group aoai; now Terminating on the way to Terminated; hooks up (launch), down (terminate)")
	})
	p.shows(t, `l4fwd_lifecycle_state{state="terminating"} 1`)

	r.asg.Terminate(m.Instance)
	time.Sleep(5 * time.Second) // longer than the hook waits without heartbeats
	require.Equal(t, "Terminating:Wait", r.asg.State(m.Instance))
	exchange(t, c)
	require.Len(t, r.ec2.Holders(), 1, "the address is kept while a connection is open")
	require.NoError(t, c.Close())
	p.exits(t, exitOK)
	require.Equal(t, "Terminated", r.asg.State(m.Instance))
	require.Zero(t, held("CompleteLifecycleAction down CONTINUE"), "the hook comes after the address is back")
	require.Positive(t, held("RecordLifecycleActionHeartbeat down"))
	require.Contains(t, p.log.String(), `"by":"lifecycle: Auto Scaling terminates the instance"`)
}

func TestSpotTakesTheInstanceAway(t *testing.T) {
	t.Parallel()
	r := newRegion(t, 1)
	m := r.machine(t)
	p := prepare(t, m.env).start(t).ready(t)
	c := p.dial(t)
	exchange(t, c)
	m.metadata.Interrupt("terminate", time.Now().Add(22*time.Second)) // two of its drain.timeout of 5 min: the rest is for the address
	p.exits(t, exitOK)
	require.Empty(t, r.ec2.Holders())
	require.Contains(t, p.log.String(), `"outcome":"timeout","closed":1`)
}

func TestAnAddressThatCannotBeReleased(t *testing.T) {
	t.Parallel()
	r := newRegion(t, 1)
	r.ec2.Configure(func(o *sim.EC2Options) { o.Denied = map[string]bool{"DisassociateAddress": true} })
	p := prepare(t, r.machine(t).env).start(t).ready(t)
	p.signal(t, syscall.SIGTERM)
	p.exits(t, exitFailure)
	require.Contains(t, p.log.String(), `"msg":"the Elastic IP was not released"`)
	require.Contains(t, p.log.String(), "ec2:DisassociateAddress")
	require.Contains(t, p.log.String(), "\nl4fwd: the Elastic IP was not released: ")
}

func TestReleaseNeverKeepsTheAddress(t *testing.T) {
	t.Parallel()
	r := newRegion(t, 1)
	p := prepare(t, append(r.machine(t).env, "L4FWD_EIP_RELEASE=never")).start(t).ready(t)
	p.signal(t, syscall.SIGTERM)
	p.exits(t, exitOK)
	require.Len(t, r.ec2.Holders(), 1)
}

func TestWithoutAPoolAWSIsNotAsked(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	url := serving(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	p := started(t, []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + url, "AWS_ENDPOINT_URL=" + url, "ECS_CONTAINER_METADATA_URI_V4=" + url})
	require.NotContains(t, p.get("/metrics"), "l4fwd_eip_")
	require.NotContains(t, p.get("/metrics"), "l4fwd_lifecycle_")
	o := l4fwd(t, nil, "status", "--admin", p.admin)
	require.NotContains(t, o.stdout, "elastic IP")
	require.NotContains(t, o.stdout, "lifecycle")
	p.signal(t, syscall.SIGTERM)
	p.exits(t, exitOK)
	require.Zero(t, asked.Load())
}

func TestAPoolWhereThereIsNoEC2(t *testing.T) {
	t.Parallel()
	pool := []string{"L4FWD_EIP_POOL=tag-key:aoai_eip"}
	p := prepare(t, append(pool, "AWS_EC2_METADATA_DISABLED=true")).start(t)
	p.exits(t, exitFailure)
	require.Contains(t, p.log.String(), "\nl4fwd: eip.pool: the instance metadata service is switched off by AWS_EC2_METADATA_DISABLED=true: remove it, or set no eip.pool; with eip.required: false l4fwd serves without an address\n")

	p = prepare(t, append(pool, "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://"+freePort(t))).start(t)
	p.exits(t, exitFailure)
	require.Contains(t, p.log.String(), "\nl4fwd: eip.pool: this machine is no EC2 instance")
	require.Contains(t, p.log.String(), "connection refused")

	p = started(t, append(pool, "AWS_EC2_METADATA_DISABLED=true", "L4FWD_EIP_REQUIRED=false"))
	p.logs(t, "no Elastic IP will be claimed")
	o := l4fwd(t, nil, "status", "--admin", p.admin)
	require.Contains(t, o.unwrapped(), " elastic IP NONE: the instance metadata service is switched off by AWS_EC2_METADATA_DISABLED=true")
	require.Equal(t, exitOK, o.code)
	p.signal(t, syscall.SIGTERM)
	p.exits(t, exitOK)
}
