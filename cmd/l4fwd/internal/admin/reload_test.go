package admin

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/proxy"
)

// SIGHUP has no answer: an edit that was refused looked like one that was loaded.
func TestAReloadHasAnOutcome(t *testing.T) {
	d := newFake()
	l := listen(t, "tcp", "127.0.0.1:0")
	serving(t, l, NewHandler(d, l.Addr(), zap.NewNop()))
	reload := func() (Reloaded, error) {
		c := NewClient("reload", "tcp", l.Addr().String())
		out, err := c.Reload()
		require.Equal(t, reloadTime+10*time.Second, c.http.Timeout, "the daemon answers first")
		return out, err
	}

	d.reloaded = Reloaded{InUse: true, Changed: []string{"limits.per_source"}, Fixed: []string{"loops"}}
	out, err := reload()
	require.NoError(t, err)
	require.Equal(t, d.reloaded.Changed, out.Changed)
	require.Equal(t, d.reloaded.Fixed, out.Fixed)
	require.True(t, out.InUse)

	d.reloaded = Reloaded{Faults: []string{"c.yaml:3: upstreams[0].address: is missing"}}
	out, err = reload()
	require.NoError(t, err, "a refusal is an outcome")
	require.False(t, out.InUse)
	require.Equal(t, d.reloaded.Faults, out.Faults)

	d.refuses = errors.New("the daemon drains")
	_, err = reload()
	require.ErrorContains(t, err, "503 Service Unavailable: the daemon drains")
	require.NotErrorIs(t, err, ErrNoDaemon)
	require.Equal(t, []string{"the admin API", "the admin API", "the admin API"}, d.asked)
}

func TestTheFirstLineSaysWhatIsWrongAlthoughClientsAreServed(t *testing.T) {
	well := proxy.UpstreamStatus{Name: "a", Usable: true, Addresses: []proxy.AddressStatus{{State: "usable"}}}
	with := func(change func(*proxy.UpstreamStatus)) State {
		u := well
		change(&u)
		return State{Proxy: proxy.Status{Upstreams: []proxy.UpstreamStatus{u}}}
	}
	cases := map[string]State{
		"ready":                                           with(func(*proxy.UpstreamStatus) {}),
		"ready, but: the last reload failed":              {Config: ConfigState{Faults: []string{"x"}}},
		"ready, but: a has no usable address":             with(func(u *proxy.UpstreamStatus) { u.Usable = false }),
		"ready, but: DNS of a fails":                      with(func(u *proxy.UpstreamStatus) { u.DNSError = "timeout" }),
		"ready, but: every attempt to connect to a fails": with(func(u *proxy.UpstreamStatus) { u.Failing = true }),
		"ready, but: DNS of a fails; the answer in use is 17s old": with(func(u *proxy.UpstreamStatus) {
			u.DNSError, u.DNSAge = "timeout", 17
		}),
		"ready, but: a has trouble with 1 of 2 addresses": with(func(u *proxy.UpstreamStatus) {
			u.Addresses = []proxy.AddressStatus{{State: "usable"}, {State: "ejected", Why: "5 failed"}}
		}),
		"ready, but: a seems to lead back to this forwarder": with(func(u *proxy.UpstreamStatus) { u.Storm = "connections come in a storm" }),
		"ready, but: a refuses this instance's public address": with(func(u *proxy.UpstreamStatus) {
			u.Admission = &proxy.AdmissionStatus{State: proxy.Refused}
		}),
		"ready, but: the last reload failed · refused in the last 14 s: limit_upstream 5, limit_rate 2": {
			Config: ConfigState{Faults: []string{"x"}},
			Rates:  metrics.Rates{Seconds: 14, Limited: map[string]uint64{"limit_rate": 2, "limit_upstream": 5}},
		},
	}
	for want, s := range cases {
		require.Equal(t, want, headline(s))
	}
}
