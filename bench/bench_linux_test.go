package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/bench/peer"
	"github.com/l4fwd/l4fwd/bench/report"
)

// TestMain lets the test binary play the harness's other parts, as the bench's own binary does.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role, os.Args[1:]); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestParse(t *testing.T) {
	o, err := parse([]string{"-quick", "-only", "ping_pong,beside", "-peers", "haproxy, direct", "-peer", "x=y {listen} {upstream}"})
	require.NoError(t, err)
	assert.Equal(t, 2, o.reps)
	assert.Equal(t, 400*time.Millisecond, o.duration)
	assert.Equal(t, []string{"ping_pong", "beside"}, o.only)
	assert.Len(t, o.extra, 1)
	assert.Equal(t, []string{"uring", "epoll", "portable"}, o.engines)
	assert.Equal(t, []string{"l4fwd-uring", "l4fwd-epoll", "l4fwd-uring-sni", "l4fwd-epoll-sni", "l4fwd-uring-log", "l4fwd-epoll-log", "l4fwd-uring-upgrade", "l4fwd-epoll-upgrade", "l4fwd-warm"}, o.judged)
	assert.Equal(t, []string{"loopback"}, o.nets, "with -quick")
	b := &bench{options: o}
	assert.True(t, b.wants("haproxy-plain") && b.wants("direct"))
	assert.False(t, b.wants("nginx"))
	for _, bad := range [][]string{{"-only", "nonsense"}, {"stray"}, {"-peer", "x"}, {"-net", "ether"},
		{"-net", "loopback,veth", "-only", "handshake"}, {"-net", "far", "-only", "ping_pong"}} {
		_, err := parse(bad)
		assert.Error(t, err, "%v", bad)
	}
}

func TestRepetitions(t *testing.T) {
	for _, tc := range []struct {
		args                 string
		scenario, over, peer string
		want                 int
	}{
		{"", "bulk_up", "loopback", "l4fwd-uring", 5},
		{"", "bulk_up", "loopback", "haproxy-plain", 5},
		{"", "bulk_up", "loopback", "nginx", 2},
		{"", "bulk_up", "loopback", "l4fwd-portable", 2},
		{"", "bulk_up", "veth", "l4fwd-epoll", 3},
		{"", "bulk_up", "veth", "go-iocopy", 1},
		{"", "idle_memory", "loopback", "l4fwd-epoll", 2},
		{"", "idle_memory", "loopback", "nginx", 1},
		{"-judge l4fwd-portable", "bulk_up", "loopback", "l4fwd-portable", 5},
		{"-peers nginx", "bulk_up", "loopback", "nginx", 5},
		{"-quick", "bulk_up", "loopback", "l4fwd-uring", 2},
		{"-quick", "bulk_up", "loopback", "nginx", 0},
		{"-quick", "ping_pong", "loopback", "nginx", 1},
		{"-quick", "open_cost", "loopback", "haproxy-plain", 1},
		{"-reps 1", "bulk_up", "veth", "nginx", 1},
		{"", "sni_rate", "loopback", "l4fwd-uring-sni", 5},
		{"", "handshake", "far", "l4fwd-warm", 3},
	} {
		o, err := parse(strings.Fields(tc.args))
		require.NoError(t, err)
		i := slices.Index(scenarioNames(), tc.scenario)
		assert.Equal(t, tc.want, o.repetitions(scenarios[i], tc.over, o.central(tc.peer)), "%v", tc)
	}
}

// TestRefusedEngineIsMissing runs a relay that ends as an engine does which the machine or this version does not support.
func TestRefusedEngineIsMissing(t *testing.T) {
	refusing := filepath.Join(t.TempDir(), "l4fwd")
	require.NoError(t, os.WriteFile(refusing, []byte("#!/bin/sh\necho starting >&2\necho 'flag --engine: no such thing here' >&2\nexit 2\n"), 0o755))
	dir := t.TempDir()
	o, err := parse([]string{"-l4fwd", refusing, "-l4fwd-engines", "uring", "-peers", "l4fwd,direct", "-only", "ping_pong", "-reps", "1",
		"-duration", "50ms", "-net", "loopback", "-out", dir})
	require.NoError(t, err)
	r := runHere(t, o, dir)
	require.Len(t, r.Missing, 1)
	assert.Equal(t, "l4fwd-uring over loopback: it ended at once, exit status 2: flag --engine: no such thing here", r.Missing[0].String())
	assert.Positive(t, r.Over("loopback").Summary("ping_pong", "direct", "throughput").Median)
}

func TestJudgedPeerThatIsNone(t *testing.T) {
	o, err := parse([]string{"-peers", "direct", "-judge", "l4fwd-urine"})
	require.NoError(t, err)
	assert.ErrorContains(t, run(t.Context(), o), "-judge l4fwd-urine is none of them")
}

// TestVethNetwork starts a relay in the namespace of the proxies and uses it from that of the load.
func TestVethNetwork(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	n, err := veth()
	if err != nil {
		t.Skipf("no network namespaces: %v", err)
	}
	defer n.close()
	self, err := os.Executable()
	require.NoError(t, err)
	specs := []peer.Spec{peer.IOCopy(self, []string{roleEnv + "=iocopy"}, 1024), peer.DirectSpec()}
	c, ready, err := startOrigin(t.Context(), n.origin, n.role, n.upstreams(specs))
	require.NoError(t, err)
	defer c.stop()
	assert.Equal(t, "198.18.2.1", ready.Addrs[0].Addr().String())
	assert.Equal(t, "198.18.3.100", ready.Addrs[1].Addr().String())
	p, err := peer.Start(t.Context(), specs[0], n.site(ready.Addrs[0], 1024)) // returns once an exchange went through
	require.NoError(t, err)
	assert.Equal(t, "198.18.1.100", p.Listen.Addr().String())
	p.Stop()
	for _, device := range []string{"to-client", "to-proxy", "to-origin"} {
		_, err := net.InterfaceByName(device)
		assert.Error(t, err, "no device is ever outside")
	}
}

// TestVethWithoutRootIsMissing gives up its privileges on a thread of its own, which ends with the goroutine.
func TestVethWithoutRootIsMissing(t *testing.T) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&head, &none[0]); err != nil {
			done <- err
			return
		}
		n, err := veth()
		if n != nil {
			n.close()
		}
		done <- err
	}()
	assert.ErrorContains(t, <-done, "make a network namespace: enter: operation not permitted: run it as root")
}

func TestWhatToDoAboutIt(t *testing.T) {
	for want, err := range map[string]error{"run it as root": unix.EPERM, "modprobe veth": unix.EOPNOTSUPP, "modprobe tun": os.ErrNotExist} {
		assert.ErrorContains(t, because(fmt.Errorf("try: %w", err)), want)
	}
}

// runHere runs the bench and reads its report. Not on a goroutine of its own: the children belong to this one's thread.
func runHere(t *testing.T, o options, dir string) *report.Report {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	require.NoError(t, run(t.Context(), o))
	b, err := os.ReadFile(filepath.Join(dir, "latest.json"))
	require.NoError(t, err)
	r := &report.Report{}
	require.NoError(t, json.Unmarshal(b, r))
	return r
}

// TestSmoke runs every scenario for an instant, through the plain Go relay and directly, and wants figures without errors.
func TestSmoke(t *testing.T) {
	if testing.Short() {
		t.Skip("opens thousands of connections")
	}
	// A busy machine may complete nothing in an instant. In two seconds it does, unless the relay is dead.
	o, r := smoke(t, "200ms")
	if slices.ContainsFunc(r.Invalid(), func(s report.Sample) bool { return strings.Contains(s.Errors[0], "nothing was completed") }) {
		o, r = smoke(t, "2s")
	}
	for _, s := range r.Invalid() {
		t.Error(s.Fault())
	}
	for _, n := range r.Networks {
		part := r.Over(n.Name)
		for _, s := range scenarios {
			for _, m := range s.Metrics {
				if o.runs(s, n.Name) && !s.alone && m.Name != ksoftirqd.Name && m.Name != preempts.Name {
					assert.Positive(t, part.Summary(s.Name, "go-iocopy", m.Name).Median, "%s %s over %s", s.Name, m.Name, n.Name)
				}
			}
		}
		switch n.Name {
		case farName:
			assert.GreaterOrEqual(t, part.Summary("handshake", "direct", "p50").Median, 80e3, "two round trips")
			continue
		case tlsName:
			continue
		}
		assert.Zero(t, part.Summary("ping_pong", "direct", "cpu").N, "direct has no proxy to measure")
		assert.Positive(t, part.Summary("ping_pong", "direct", "throughput").Median)
	}
	require.NotEmpty(t, r.Networks)
	if len(r.Networks) < len(o.nets) {
		t.Logf("not over every network: %v", r.Missing)
	}
}

// Relays that log have scenarios of their own.
func TestSmokeOfLogs(t *testing.T) {
	if spec := peer.HAProxyLog(); spec.Missing != "" {
		t.Skip(spec.Missing)
	}
	dir := t.TempDir()
	o, err := parse([]string{"-peers", "haproxy-log", "-only", "conn_rate_log,conn_reset_log", "-reps", "1", "-duration", "1s", "-out", dir})
	require.NoError(t, err)
	r := runHere(t, o, dir)
	require.Empty(t, r.Invalid())
	for _, name := range o.only {
		assert.Positive(t, r.Over("loopback").Summary(name, "haproxy-log", "cpu").Median, name)
	}
}

// smoke runs everything through the plain Go relay and directly, in windows of the length given.
func smoke(t *testing.T, window string) (options, *report.Report) {
	t.Helper()
	dir := t.TempDir()
	o, err := parse([]string{"-peers", "go-iocopy,direct", "-reps", "1", "-duration", window, "-out", dir})
	require.NoError(t, err)
	return o, runHere(t, o, dir)
}
