package proxy

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

const firewall = "Access denied due to Virtual Network/Firewall rules."

// farEnd is a Prober that answers as it is told, by host. A host that nobody spoke of is silent until its check ends.
type farEnd struct {
	mu      sync.Mutex
	answers map[string]answer
	asked   map[string]int
	last    Probe
}

type answer struct {
	refusal string
	err     error
}

func newFarEnd() *farEnd {
	return &farEnd{answers: make(map[string]answer), asked: make(map[string]int)}
}

func (f *farEnd) say(host, refusal string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[host] = answer{refusal, err}
}

func (f *farEnd) count(host string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[host]
}

func (f *farEnd) probe(ctx context.Context, p Probe) (string, error) {
	f.mu.Lock()
	a, known := f.answers[p.Host]
	f.asked[p.Host]++
	f.last = p
	f.mu.Unlock()
	if !known {
		<-ctx.Done()
		return "", ctx.Err()
	}
	return a.refusal, a.err
}

// anotherAnswer waits until the host was asked once more from now on, and its answer was judged.
func (f *farEnd) anotherAnswer(t *testing.T, host string) {
	t.Helper()
	had := f.count(host)
	require.Eventually(t, func() bool { return f.count(host) >= had+2 }, 10*time.Second, time.Millisecond)
}

// withFarEnd starts a forwarder whose upstreams, at 127.0.0.1, 127.0.0.2 …, are checked by f.
func withFarEnd(t *testing.T, f *farEnd, ups []Upstream, change func(*Options)) *Server {
	return start(t, "portable", "", 1, func(o *Options) {
		o.Prober = f.probe
		var routes []Route
		for i := range ups {
			u := &ups[i]
			u.Port = 1
			if u.Check.Type != CheckNone {
				u.Check.Interval, u.Check.Timeout, u.Check.Rise, u.Check.Fall = 20*time.Millisecond, time.Second, 1, 1
			}
			routes = append(routes, Route{SNI: []string{u.Name + ".example"}, Upstream: u.Name})
		}
		o.Upstreams = ups
		o.Listeners[0].Upstream, o.Listeners[0].Routes = "", routes
		if change != nil {
			change(o)
		}
	})
}

var here = netip.MustParseAddr("203.0.113.7")

func eventuallyNil(t *testing.T, f func() error) {
	t.Helper()
	require.Eventually(t, func() bool { return f() == nil }, 10*time.Second, time.Millisecond)
}

// A new instance with a dead upstream was ready for the second until its first check ended, and completed its launch hook.
func TestAnUncheckedAddressProvesNothing(t *testing.T) {
	f := newFarEnd()
	s := withFarEnd(t, f, []Upstream{{Name: "a", Host: "127.0.0.1", Check: Check{Type: CheckTCP}}}, nil)
	require.EqualError(t, s.UpstreamsReady(), `upstream "a" has no usable address: 127.0.0.1:1 unchecked (its first check has not ended yet)`)
	require.Equal(t, "unchecked", s.Status().Upstreams[0].Addresses[0].State)
	require.Equal(t, 1, s.Stats().Addresses[[2]string{"a", "unchecked"}])
	f.say("127.0.0.1", "", nil)
	eventuallyNil(t, s.UpstreamsReady)
	f.say("127.0.0.1", "", errors.New("connect: connection refused"))
	require.Eventually(t, func() bool { return s.UpstreamsReady() != nil }, 10*time.Second, time.Millisecond)
	require.ErrorContains(t, s.UpstreamsReady(), "127.0.0.1:1 check_failed (check failed: connect: connection refused, for ")
}

// One upstream without an address took an instance out of the load balancer that served others.
func TestOneOfSeveralUpstreamsIsEnough(t *testing.T) {
	f := newFarEnd()
	f.say("127.0.0.1", "", nil)
	f.say("127.0.0.2", "", errors.New("broken"))
	f.say("127.0.0.3", "", nil)
	ups := []Upstream{
		{Name: "good", Host: "127.0.0.1", Check: Check{Type: CheckTCP}},
		{Name: "bad", Host: "127.0.0.2", Check: Check{Type: CheckTCP}},
		{Name: "idle", Host: "127.0.0.3", Check: Check{Type: CheckTCP}},
	}
	s := withFarEnd(t, f, ups, func(o *Options) { o.Listeners[0].Routes = o.Listeners[0].Routes[:2] })
	eventuallyNil(t, s.UpstreamsReady)
	require.Eventually(t, func() bool {
		notes := s.UpstreamNotes()
		return len(notes) == 1 && strings.Contains(notes[0], `upstream "bad" has no usable address: 127.0.0.2:1 check_failed (check failed: broken`)
	}, 10*time.Second, time.Millisecond)

	require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[1].Required = true }))
	require.ErrorContains(t, s.UpstreamsReady(), `upstream "bad" has no usable address`)
	require.True(t, s.Status().Upstreams[1].Required)
	f.say("127.0.0.2", "", nil)
	eventuallyNil(t, s.UpstreamsReady)

	f.say("127.0.0.1", "", errors.New("broken"))
	f.say("127.0.0.2", "", errors.New("broken"))
	require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[1].Required = false }))
	require.Eventually(t, func() bool { return s.UpstreamsReady() != nil }, 10*time.Second, time.Millisecond)
	require.ErrorContains(t, s.UpstreamsReady(), `upstream "good"`)
	require.ErrorContains(t, s.UpstreamsReady(), `upstream "bad"`)
	require.NotContains(t, s.UpstreamsReady().Error(), `upstream "idle"`, "no client gets there")
}

// An instance is held back until the far end has admitted its address once. Later refusals are shown, and do not empty the fleet.
func TestAdmissionAtTheStart(t *testing.T) {
	f := newFarEnd()
	core, lines := observer.New(zap.InfoLevel)
	s := withFarEnd(t, f, []Upstream{{Name: "a", Host: "127.0.0.1", Check: Check{Type: CheckHTTPS, Path: "/check"}}}, func(o *Options) { o.Log = zap.New(core) })
	require.EqualError(t, s.Admitted(here), `upstream "a" has not answered a check over HTTPS yet`)
	require.Equal(t, AdmissionUnknown, s.Status().Upstreams[0].Admission.State)

	f.say("127.0.0.1", firewall, nil)
	f.anotherAnswer(t, "127.0.0.1")
	require.EqualError(t, s.Admitted(here), `upstream "a" refuses this instance's public address: `+firewall)
	require.NoError(t, s.UpstreamsReady(), "it works")
	require.Contains(t, s.AdmissionNotes()[0], firewall)
	require.Equal(t, Probe{Type: CheckHTTPS, Addr: netip.MustParseAddrPort("127.0.0.1:1"), Host: "127.0.0.1", Path: "/check"}, f.last)

	f.say("127.0.0.1", "", nil)
	eventuallyNil(t, func() error { return s.Admitted(here) })
	require.Empty(t, s.AdmissionNotes())
	require.Equal(t, map[string]bool{"a": true}, s.Stats().Admitted)

	f.say("127.0.0.1", firewall, nil)
	f.anotherAnswer(t, "127.0.0.1")
	require.NoError(t, s.Admitted(here), "once is enough")
	require.Len(t, s.AdmissionNotes(), 1)
	require.Equal(t, map[string]bool{"a": false}, s.Stats().Admitted)
	st := s.Status().Upstreams[0].Admission
	require.Equal(t, "start", st.Mode)
	require.Equal(t, Refused, st.State)
	require.Equal(t, firewall, st.Detail)
	require.NotZero(t, st.Since)
	require.Eventually(t, func() bool {
		return lines.FilterMessageSnippet("refuses this instance's public address").Len() == 1 &&
			lines.FilterMessageSnippet("admits this instance's public address again").Len() == 1
	}, 10*time.Second, time.Millisecond)
}

// A check that began before the address changed says nothing of the new one, and what the old one was told counts no more.
func TestAnotherAddressBeginsAnew(t *testing.T) {
	f := newFarEnd()
	f.say("127.0.0.1", "", nil)
	s := withFarEnd(t, f, []Upstream{{Name: "a", Host: "127.0.0.1", Check: Check{Type: CheckHTTPS}}}, nil)
	eventuallyNil(t, func() error { return s.Admitted(here) })
	old := s.egress.current()
	f.say("127.0.0.1", firewall, nil)
	require.Error(t, s.Admitted(netip.MustParseAddr("203.0.113.8")), "at once")
	s.targets()[0].judgeAnswer(old, "")
	require.Error(t, s.Admitted(netip.MustParseAddr("203.0.113.8")))
	f.anotherAnswer(t, "127.0.0.1")
	require.ErrorContains(t, s.Admitted(netip.MustParseAddr("203.0.113.8")), firewall)
	f.say("127.0.0.1", "", nil)
	eventuallyNil(t, func() error { return s.Admitted(netip.MustParseAddr("203.0.113.8")) })
	require.Error(t, s.Admitted(netip.Addr{}), "the address was lost")
	eventuallyNil(t, func() error { return s.Admitted(netip.Addr{}) })
}

// An upstream that is new with a reload learns of the address in use from the first answer.
func TestAnswersOfALaterAddressCount(t *testing.T) {
	a := newAdmission(1)
	_, is, logged := a.answered(3, firewall)
	require.Equal(t, Refused, is)
	require.True(t, logged)
	_, is, logged = a.answered(2, "")
	require.Equal(t, Refused, is)
	require.False(t, logged)
	_, _, logged = a.answered(3, "")
	require.True(t, logged)
	_, _, logged = a.answered(3, firewall)
	require.False(t, logged, "it comes and goes: once in ten seconds")
}

func TestStrictAdmissionEndsReadiness(t *testing.T) {
	f := newFarEnd()
	f.say("127.0.0.1", "", nil)
	s := withFarEnd(t, f, []Upstream{{Name: "a", Host: "127.0.0.1", Check: Check{Type: CheckHTTPS}, Admission: AdmissionStrict}}, nil)
	admitted := func() error { return s.Admitted(here) }
	for range 2 {
		eventuallyNil(t, admitted)
		f.say("127.0.0.1", firewall, nil)
		require.Eventually(t, func() bool { return admitted() != nil }, 10*time.Second, time.Millisecond)
		f.say("127.0.0.1", "", errors.New("broken"))
		f.anotherAnswer(t, "127.0.0.1")
		require.ErrorContains(t, admitted(), firewall, "what was said last holds while nothing is said")
		f.say("127.0.0.1", "", nil)
	}
}

func TestNobodyIsAskedWithAdmissionOff(t *testing.T) {
	f := newFarEnd()
	f.say("127.0.0.1", firewall, nil)
	s := withFarEnd(t, f, []Upstream{{Name: "a", Host: "127.0.0.1", Check: Check{Type: CheckHTTPS}, Admission: AdmissionOff}}, nil)
	eventuallyNil(t, s.UpstreamsReady)
	require.NoError(t, s.Admitted(here))
	require.Empty(t, s.AdmissionNotes())
	require.Nil(t, s.Status().Upstreams[0].Admission)
	require.Empty(t, s.Stats().Admitted)
}

// With several upstreams one that admits this instance is enough, unless another is required; a dead one holds nobody back while
// there is another kind, and one that refuses does.
func TestAdmissionBySeveralUpstreams(t *testing.T) {
	https := func(name, host string) Upstream {
		return Upstream{Name: name, Host: host, Check: Check{Type: CheckHTTPS}}
	}
	tcp := Upstream{Name: "c", Host: "127.0.0.3", Check: Check{Type: CheckTCP}}
	required := https("b", "127.0.0.2")
	required.Required = true
	refuses, dead, admits := answer{firewall, nil}, answer{"", errors.New("broken")}, answer{}
	for name, c := range map[string]struct {
		ups  []Upstream
		a, b answer
		want bool
	}{
		"one admits, one refuses":               {[]Upstream{https("a", "127.0.0.1"), https("b", "127.0.0.2")}, admits, refuses, true},
		"one admits, the required one refuses":  {[]Upstream{https("a", "127.0.0.1"), required}, admits, refuses, false},
		"one admits, the required one is dead":  {[]Upstream{https("a", "127.0.0.1"), required}, admits, dead, false},
		"one is dead, one refuses":              {[]Upstream{https("a", "127.0.0.1"), https("b", "127.0.0.2")}, dead, refuses, false},
		"both are dead":                         {[]Upstream{https("a", "127.0.0.1"), https("b", "127.0.0.2")}, dead, dead, false},
		"it is dead, and there is another kind": {[]Upstream{https("a", "127.0.0.1"), tcp}, dead, admits, true},
		"it refuses, and there is another kind": {[]Upstream{https("a", "127.0.0.1"), tcp}, refuses, admits, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFarEnd()
			f.say("127.0.0.1", c.a.refusal, c.a.err)
			f.say("127.0.0.2", c.b.refusal, c.b.err)
			f.say("127.0.0.3", "", nil)
			s := withFarEnd(t, f, c.ups, nil)
			_ = s.Admitted(here) // from now on
			for _, u := range c.ups {
				f.anotherAnswer(t, u.Host)
			}
			require.Equal(t, c.want, s.Admitted(here) == nil, "%v", s.Admitted(here))
		})
	}
}

// A fleet that serves is not emptied by an upstream that comes back from the dead, or is new with a reload, and refuses it.
func TestWhatServesIsNotTakenOutByANewRefusal(t *testing.T) {
	f := newFarEnd()
	f.say("127.0.0.1", "", errors.New("broken"))
	f.say("127.0.0.3", "", nil)
	s := withFarEnd(t, f, []Upstream{
		{Name: "a", Host: "127.0.0.1", Check: Check{Type: CheckHTTPS}},
		{Name: "c", Host: "127.0.0.3", Check: Check{Type: CheckTCP}},
	}, nil)
	eventuallyNil(t, func() error { return s.Admitted(here) })
	f.say("127.0.0.1", firewall, nil)
	f.anotherAnswer(t, "127.0.0.1")
	require.Len(t, s.AdmissionNotes(), 1)
	require.NoError(t, s.Admitted(here))
	f.say("127.0.0.3", firewall, nil)
	require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[1].Check.Type = CheckHTTPS }))
	f.anotherAnswer(t, "127.0.0.3")
	require.Len(t, s.AdmissionNotes(), 2)
	require.NoError(t, s.Admitted(here))
}

// What is known of the admission outlives a change of the upstream's settings.
func TestAdmissionOutlivesAReload(t *testing.T) {
	f := newFarEnd()
	f.say("127.0.0.1", firewall, nil)
	s := withFarEnd(t, f, []Upstream{{Name: "a", Host: "127.0.0.1", Check: Check{Type: CheckHTTPS}}}, nil)
	require.Eventually(t, func() bool { return len(s.AdmissionNotes()) == 1 }, 10*time.Second, time.Millisecond)
	since := s.Status().Upstreams[0].Admission.Since
	require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[0].Attempts = 7 }))
	require.Len(t, s.AdmissionNotes(), 1)
	require.Equal(t, since, s.Status().Upstreams[0].Admission.Since)
}

func TestChecksNeedAProber(t *testing.T) {
	_, err := Start(Options{
		Listeners: []Listener{{Name: "in", Addr: netip.MustParseAddrPort("127.0.0.1:0"), Upstream: "a"}},
		Upstreams: []Upstream{{Name: "a", Host: "127.0.0.1", Port: 1, Check: Check{Type: CheckTLS}}},
	})
	require.EqualError(t, err, `upstream "a": a check of type tls needs Options.Prober`)
}
