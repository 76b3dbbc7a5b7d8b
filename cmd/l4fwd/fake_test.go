package main

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/handoff"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// fakeForwarder is a forwarder that does what the test says.
type fakeForwarder struct {
	mu        sync.Mutex
	upstreams error
	admitted  error
	failing   string // every address fails: how
	alive     error
	active    int64
	calls     []string
	reload    error         // of Reload
	options   proxy.Options // its last
	idle      chan struct{} // closed: no connection is open
}

func (f *fakeForwarder) note(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, s)
}

func (f *fakeForwarder) Addrs() []netip.AddrPort {
	return []netip.AddrPort{netip.MustParseAddrPort("[::]:8443")}
}
func (f *fakeForwarder) ListenersReady() error { return nil }
func (f *fakeForwarder) UpstreamsReady() error { return f.upstreams }
func (f *fakeForwarder) UpstreamNotes() []string {
	return []string{"192.0.2.2:443 failing (3 attempts failed in a row)"}
}
func (f *fakeForwarder) Admitted(netip.Addr) error   { return f.admitted }
func (f *fakeForwarder) AdmissionNotes() []string    { return nil }
func (f *fakeForwarder) Alive(context.Context) error { return f.alive }
func (f *fakeForwarder) CloseWarm()                  { f.note("close warm") }
func (f *fakeForwarder) StopAccepting()              { f.note("stop accepting") }
func (f *fakeForwarder) Close(r relay.Reason)        { f.note("close " + r.String()) }

func (f *fakeForwarder) Sockets() ([]handoff.Socket, error)            { return nil, nil }
func (f *fakeForwarder) Save() (json.RawMessage, error)                { return nil, nil }
func (f *fakeForwarder) SaveCounters() (json.RawMessage, error)        { return nil, nil }
func (f *fakeForwarder) TakeCounters(json.RawMessage) error            { return nil }
func (f *fakeForwarder) Base() int64                                   { return 0 }
func (f *fakeForwarder) Freeze(context.Context) (*relay.Frozen, error) { return nil, nil }
func (f *fakeForwarder) Adopted() *relay.Frozen                        { return nil }

func (f *fakeForwarder) Reload(_ context.Context, o proxy.Options) error {
	f.note("reload")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.options = o
	return f.reload
}

func (f *fakeForwarder) Connections(context.Context) (proxy.Listing, error) {
	return proxy.Listing{}, nil
}
func (f *fakeForwarder) CloseConnection(uint64) error { return proxy.ErrNotOpen }
func (f *fakeForwarder) EjectAddress(string, netip.AddrPort, time.Duration) (proxy.Ejection, error) {
	return proxy.Ejection{}, proxy.ErrUnknownUpstream
}
func (f *fakeForwarder) RestoreAddress(string, netip.AddrPort) (proxy.Ejection, error) {
	return proxy.Ejection{}, proxy.ErrUnknownUpstream
}

func (f *fakeForwarder) Wait(ctx context.Context) error {
	f.note("wait")
	select {
	case <-f.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeForwarder) Status() proxy.Status {
	return proxy.Status{
		Engine: "epoll", EngineReason: "auto", Loops: 2, Active: f.active, MaxConns: 9872,
		Listeners: []proxy.ListenerStatus{{Name: "aoai", Addr: f.Addrs()[0], Upstream: "dais24", Active: f.active, Accepted: 12, Refused: 6, Open: true,
			Reasons: map[string]uint64{"limit_connections": 1, "vpce_denied": 4, "hello_bad": 1}}},
		Upstreams: []proxy.UpstreamStatus{{
			Name: "dais24", Address: "dais24.example:443", Usable: f.upstreams == nil, Failing: f.failing != "", Detail: cmp.Or(f.failing, "from 10.0.0.2"), Active: f.active, Total: 11,
			BytesUp: 1_500_000, BytesDown: 2_000_000_000, DNSAge: 7, DNSError: "10.0.0.2: timeout",
			Addresses: []proxy.AddressStatus{
				{Addr: netip.MustParseAddrPort("192.0.2.1:443"), State: "usable", Active: f.active},
				{Addr: netip.MustParseAddrPort("192.0.2.2:443"), State: "failing", Failures: 3},
			},
		}},
	}
}

func (f *fakeForwarder) Stats() proxy.Stats {
	pair := [2]string{"aoai", "dais24"}
	h := proxy.HistogramStats{Count: 2, Sum: 0.3, Buckets: map[float64]uint64{0.1: 1, 1: 2}}
	return proxy.Stats{
		Relay:     relay.Stats{Active: f.active, Busy: []float64{1, 2}, AcceptPauses: 1, Pipes: 2},
		Accepted:  map[string]uint64{"aoai": 12},
		Refused:   map[[2]string]uint64{{"aoai", "limit_connections"}: 1},
		Ended:     map[[3]string]uint64{{"aoai", "dais24", "client_closed"}: 11},
		Active:    map[[2]string]int64{pair: f.active},
		Bytes:     map[[2]string]relay.Bytes{pair: {Up: 10, Down: 20, SplicedUp: 1, SplicedDown: 2}},
		Connect:   map[string]proxy.HistogramStats{"dais24": h},
		FirstByte: map[string]proxy.HistogramStats{"dais24": h},
		Duration:  map[string]proxy.HistogramStats{"dais24": h},
		Dials:     map[[2]string]uint64{{"dais24", "connect_refused"}: 3},
		Addresses: map[[2]string]int{{"dais24", "usable"}: 1, {"dais24", "failing"}: 1},
		Warm:      map[string]int64{"dais24": 7},
		WarmUsed:  map[[2]string]uint64{{"dais24", "hit"}: 5, {"dais24", "stale"}: 1},
		WarmRests: map[string]uint64{"dais24": 2},
		Lookups:   map[[2]string]uint64{{"dais24.example", "ok"}: 4},
		AnswerAge: map[string]time.Duration{"dais24.example": 7 * time.Second},
	}
}

// newFakeDaemon is a daemon around a fake, with nothing running.
func newFakeDaemon(t *testing.T) (*daemon, *fakeForwarder) {
	t.Helper()
	l := loadWith(t, "--upstream", "dais24.example:443")
	d := newDaemon(l.Config)
	d.log.SetLevel("error")
	t.Cleanup(func() { d.log.Close(0) })
	fwd := &fakeForwarder{active: 3, idle: make(chan struct{})}
	d.fwd = fwd
	d.reload = d.newReloader(l, func() *config.Loaded { return l })
	d.register()
	return d, fwd
}

// scrapeText is what /metrics of the daemon answers.
func scrapeText(t *testing.T, d *daemon) string {
	t.Helper()
	w := httptest.NewRecorder()
	d.healthHandler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code, w.Body.String())
	return w.Body.String()
}

func TestMetricsShowTheDaemonsState(t *testing.T) {
	d, _ := newFakeDaemon(t)
	text := scrapeText(t, d)
	for _, want := range []string{"l4fwd_connections_active{listener=\"aoai\",upstream=\"dais24\"} 3\n", "l4fwd_draining 0\n", "l4fwd_config_reload_success 1\n", "l4fwd_build_info{commit=\""} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, "l4fwd_eip_")
	d.drains.begun.Store(true)
	require.Contains(t, scrapeText(t, d), "l4fwd_draining 1\n")
}
