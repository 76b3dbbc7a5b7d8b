package admin

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a daemon that shows a state, and remembers who asked for a drain.
type fake struct {
	state    State
	asked    []string
	conns    []proxy.Connection
	history  metrics.History
	events   []Event
	reloaded Reloaded
	refuses  error // why no reload is made
	upgraded Upgraded
}

func (f *fake) Upgrade(by string) (Upgraded, error) {
	f.asked = append(f.asked, by)
	return f.upgraded, f.refuses
}

func (f *fake) Reload(_ context.Context, by string) (Reloaded, error) {
	f.asked = append(f.asked, by)
	return f.reloaded, f.refuses
}

func (f *fake) Recent() []byte { return []byte("a line\n") }

func (f *fake) Effective() ([]byte, error) { return []byte("loops: 2\n"), f.refuses }

func (f *fake) ServeMetrics(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("l4fwd_up 1\n"))
}

func (f *fake) State() State { return f.state }

func (f *fake) Connections(context.Context) (proxy.Listing, error) {
	return proxy.Listing{Connections: f.conns}, nil
}

func (f *fake) CloseConnection(id uint64) error {
	if id != 7 {
		return proxy.ErrNotOpen
	}
	return nil
}

func (f *fake) EjectAddress(name string, addr netip.AddrPort, d time.Duration) (proxy.Ejection, error) {
	f.asked = append(f.asked, "eject "+name+" "+addr.String()+" "+d.String())
	return proxy.Ejection{Upstream: name, Address: addr, State: "ejected_by_operator"}, nil
}

func (f *fake) RestoreAddress(string, netip.AddrPort) (proxy.Ejection, error) {
	return proxy.Ejection{}, proxy.ErrNotEjected
}

func (f *fake) LogLevel() LogLevel { return LogLevel{Level: "info", Configured: "info"} }

func (f *fake) SetLogLevel(level string, d time.Duration) LogLevel {
	f.asked = append(f.asked, "level "+level+" "+d.String())
	return LogLevel{Level: level, Configured: "info"}
}

func (f *fake) History() metrics.History { return f.history }

func (f *fake) Events() []Event { return f.events }

func (f *fake) Drain(by string) bool {
	f.asked = append(f.asked, by)
	return len(f.asked) == 1
}

func newFake() *fake {
	addr := netip.MustParseAddrPort("[::]:8443")
	return &fake{state: State{
		Build: metrics.Build{Version: "1.2.3", Commit: "abc"}, PID: 77, Uptime: 3600 * 5, Ready: true,
		Conditions: []ConditionState{{"listeners", true, ""}, {"upstream", true, ""}, {"draining", true, ""}},
		Rates:      metrics.Rates{Seconds: 14, BytesUp: 1500, BytesDown: 2e6, Connections: 3.25, Busy: []float64{0.5, 0.01}},
		Sources:    map[string]string{"aoai": SourceSystemd}, Config: ConfigState{OK: true},
		Proxy: proxy.Status{
			Engine: "epoll", EngineReason: "auto", Loops: 2, Active: 3, MaxConns: 9872,
			Listeners: []proxy.ListenerStatus{
				{Name: "aoai", Addr: addr, Upstream: "dais24", Active: 3, Accepted: 12, Refused: 6, Open: true,
					Reasons: map[string]uint64{"limit_connections": 1, "vpce_denied": 4, "hello_bad": 1}},
				{Name: "other", Addr: addr},
			},
			Upstreams: []proxy.UpstreamStatus{{
				Name: "dais24", Address: "dais24.example:443", Usable: true, Detail: "from 10.0.0.2", Active: 3, Total: 11,
				BytesUp: 1_500_000, BytesDown: 2_000_000_000, DNSAge: 7, DNSError: "10.0.0.2: timeout",
				Warm: &proxy.WarmStatus{Ready: 1, Wanted: 4, Why: "connect_refused"},
				Addresses: []proxy.AddressStatus{
					{Addr: netip.MustParseAddrPort("192.0.2.1:443"), State: "usable", Active: 3},
					{Addr: netip.MustParseAddrPort("192.0.2.2:443"), State: "failing", Failures: 3, Why: "3 attempts failed in a row"},
				},
			}, {Name: "literal", Address: "10.0.0.1:443"}},
		},
	}}
}

var loopback = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9901}

// ask sends a request with headers, which are pairs of name and value.
func ask(h http.Handler, method, path, host string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheHostOfARequestIsThisMachine(t *testing.T) {
	h := NewHandler(newFake(), loopback, zap.NewNop())
	for host, want := range map[string]int{
		"127.0.0.1:9901": 200, "localhost:9901": 200, "localhost": 200, "LOCALHOST.:9901": 200, "[::1]:9901": 200, "127.1.2.3": 200,
		"evil.example:9901": 403, "localhost.evil.example": 403, "10.0.0.1": 403, "": 403,
	} {
		require.Equal(t, want, ask(h, "GET", "/api/v1/status", host).Code, host)
	}
	unix := NewHandler(newFake(), &net.UnixAddr{Name: "/run/x", Net: "unix"}, zap.NewNop())
	require.Equal(t, 200, ask(unix, "GET", "/api/v1/status", "anything").Code)
	remote := NewHandler(newFake(), &net.TCPAddr{IP: net.IPv6unspecified, Port: 9901}, zap.NewNop())
	require.Equal(t, 200, ask(remote, "GET", "/", "proxy.internal").Code)
}

// An image in a page elsewhere started a profile, and so kept the profiler from the operator.
func TestPagesElsewhereGetNothing(t *testing.T) {
	cases := map[string]struct {
		headers []string
		want    int
	}{
		"curl":                          {nil, 200},
		"typed into the browser":        {[]string{"Sec-Fetch-Site", "none"}, 200},
		"a link of the page itself":     {[]string{"Sec-Fetch-Site", "same-origin", "Referer", "http://localhost:9901/"}, 200},
		"another site":                  {[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another port of localhost":     {[]string{"Sec-Fetch-Site", "same-site"}, 403},
		"a script elsewhere":            {[]string{"Origin", "https://elsewhere.example"}, 403},
		"a script of the page itself":   {[]string{"Origin", "http://localhost:9901"}, 200},
		"a sandboxed page":              {[]string{"Origin", "null"}, 403},
		"an old browser, another site":  {[]string{"Referer", "https://elsewhere.example/page"}, 403},
		"an old browser, the page":      {[]string{"Referer", "http://LOCALHOST:9901/debug/pprof/"}, 200},
		"an old browser, another port":  {[]string{"Referer", "http://localhost:3000/"}, 403},
		"an old browser, a broken page": {[]string{"Referer", "http://[::1"}, 403},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := NewHandler(newFake(), loopback, zap.NewNop())
			for _, path := range []string{"/", "/api/v1/status", "/debug/pprof/", "/debug/pprof/cmdline"} {
				w := ask(h, "GET", path, "localhost:9901", c.headers...)
				require.Equal(t, c.want, w.Code, path)
				require.Equal(t, "same-origin", w.Header().Get("Cross-Origin-Resource-Policy"))
			}
		})
	}
}

func TestADrainIsTakenFromNoPageButTheStatusPage(t *testing.T) {
	d := newFake()
	h := NewHandler(d, loopback, zap.NewNop())
	for _, origin := range []string{"http://localhost:9901", "null", "https://elsewhere.example"} { // a form: it cannot send the header
		require.Equal(t, 403, ask(h, "POST", "/api/v1/drain", "localhost:9901", "Origin", origin).Code)
	}
	for _, origin := range []string{"null", "https://elsewhere.example", "http://localhost:3000"} {
		require.Equal(t, 403, ask(h, "POST", "/api/v1/drain", "localhost:9901", "Origin", origin, pageHeader, "1").Code)
	}
	require.Equal(t, 403, ask(h, "POST", "/api/v1/drain", "localhost", "Sec-Fetch-Site", "cross-site").Code)
	require.Equal(t, 403, ask(h, "POST", "/api/v1/drain", "localhost", "Sec-Fetch-Site", "same-origin", pageHeader, "1").Code, "no Origin")
	require.Empty(t, d.asked)
	require.Equal(t, 202, ask(h, "POST", "/api/v1/drain", "localhost:9901", "Origin", "http://localhost:9901", "Sec-Fetch-Site", "same-origin", pageHeader, "1").Code)
	require.Len(t, d.asked, 1)
}

// The site of a stranger can make its own name resolve to the port. Its scripts are then of the same origin, and may read.
func TestNamesThatMayBeAStrangersAreNotAnswered(t *testing.T) {
	own, err := os.Hostname()
	require.NoError(t, err)
	for host, want := range map[string][2]int{ // on loopback; elsewhere, and on a Unix socket
		"localhost:9901": {200, 200}, "127.0.0.1:9901": {200, 200}, "[::1]:9901": {200, 200}, "LOCALHOST.": {200, 200}, "127.1.2.3": {200, 200},
		"10.0.0.9:9901": {403, 200}, "[2001:db8::9]:9901": {403, 200}, "[2001:db8::9]": {403, 200}, "l4fwd": {403, 200}, own: {403, 200},
		"ip-10-0-0-9.eu-west-1.compute.internal:9901": {403, 200},
		"evil.example:9901":                           {403, 403}, "127.0.0.1.evil.example": {403, 403}, "localhost.evil.example": {403, 403}, "internal.evil.example": {403, 403}, "evil.example.": {403, 403}, "": {403, 403},
	} {
		for i, addr := range []net.Addr{loopback, &net.TCPAddr{IP: net.IPv6unspecified, Port: 9901}, &net.UnixAddr{Name: "/run/l4fwd.sock", Net: "unix"}} {
			want := want[min(i, 1)]
			d := newFake()
			h := NewHandler(d, addr, zap.NewNop())
			for _, path := range []string{"/", "/page/page.js", "/api/v1/state", "/api/v1/history", "/debug/pprof/"} {
				require.Equal(t, want, ask(h, "GET", path, host).Code, "%s on %s", host, addr)
			}
			posted := ask(h, "POST", "/api/v1/drain", host, "Origin", "http://"+host, pageHeader, "1").Code
			require.Equal(t, want == 403, posted == 403, "%s on %s", host, addr)
			require.Equal(t, want == 403, len(d.asked) == 0)
			require.Equal(t, 200, ask(h, "GET", "/api/v1/state", host, verbHeader, "1").Code, "a verb of l4fwd")
		}
	}
}

func TestThePortAnswers(t *testing.T) {
	d := newFake()
	core, lines := observer.New(zap.InfoLevel)
	d.state.Ready = false
	h := NewHandler(d, loopback, zap.New(core))

	var s State
	w := ask(h, "GET", "/api/v1/status", "localhost")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &s))
	require.Equal(t, d.state, s)
	require.Equal(t, AdminPort, w.Header().Get("Server"))
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))

	w = ask(h, "GET", "/", "localhost")
	require.Equal(t, 200, w.Code)
	require.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"))

	require.Equal(t, 405, ask(h, "GET", "/api/v1/drain", "localhost").Code)
	require.Equal(t, 404, ask(h, "GET", "/nothing", "localhost").Code)
	require.Equal(t, 200, ask(h, "GET", "/debug/pprof/goroutine", "localhost").Code)

	require.Zero(t, lines.Len())
	w = ask(h, "POST", "/api/v1/drain", "localhost")
	require.Equal(t, 202, w.Code)
	require.JSONEq(t, `{"draining": true, "begun": true}`, w.Body.String())
	require.Equal(t, []string{"the admin API"}, d.asked)
	w = ask(h, "POST", "/api/v1/drain", "localhost")
	require.Equal(t, 200, w.Code)
	require.JSONEq(t, `{"draining": true, "begun": false}`, w.Body.String())
	require.Equal(t, 1, lines.FilterMessage("drain requested").Len())
}

// text is the state as the verb status prints it.
func text(s State) string {
	var b strings.Builder
	WriteText(&b, s, 0)
	return b.String()
}

func TestTheTextSaysFirstWhatIsWrong(t *testing.T) {
	s := newFake().state
	got := text(s)
	require.True(t, strings.HasPrefix(got, "ready, but: dais24 has trouble with 1 of 2 addresses · DNS of dais24 fails; the answer in use is 7s old · literal has no usable address\n\nl4fwd 1.2.3 (abc), pid 77, up 5h0m\n"), got)
	for _, want := range []string{
		"engine epoll, 2 loops (auto)\n", "connections 3 of 9872, 3.2/s; up 1.5 kB/s, down 2.0 MB/s over 14 s; loops busy 50% 1%\n",
		"usable", "192.0.2.2:443", "1.5 MB", "2.0 GB", "7s", "dais24: dns: 10.0.0.2: timeout\n",
		"aoai: refused since the start: vpce_denied 4, hello_bad 1, limit_connections 1\n",
		"dais24: 192.0.2.2:443 failing, 3 failed: 3 attempts failed in a row\n", "dais24: from 10.0.0.2\n",
		"dais24: warm connections: 1 of 4 ready; last: connect_refused\n",
	} {
		require.Contains(t, got, want)
	}
	require.Regexp(t, `aoai +\[::\]:8443 +systemd +dais24`, got)
	require.Regexp(t, `other +\[::\]:8443 \(closed\) +opened`, got)
	require.Regexp(t, `literal +UNUSABLE .* -\n  10\.0\.0\.1:443\n`, got)

	s.Ready, s.Conditions[1] = false, ConditionState{"upstream", false, "dais24: no address"}
	require.True(t, strings.HasPrefix(text(s), "NOT READY\n  upstream: dais24: no address\n"))
	s.Proxy.Upstreams[0].Failing, s.Proxy.Upstreams[0].Detail = true, "every address fails; last: connect_refused"
	got = text(s)
	require.Regexp(t, `dais24 +FAILING .*\n  dais24\.example:443\n`, got)
	require.Contains(t, got, "dais24: FAILING: every address fails; last: connect_refused\n")

	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.Draining, s.Drain = true, &DrainState{By: "SIGTERM", Begun: begun, Until: begun.Add(time.Minute)}
	s.Conditions[2] = ConditionState{"draining", false, "a drain has begun"}
	got = text(s)
	require.True(t, strings.HasPrefix(got, "DRAINING, 3 connections open\n  begun 2026-01-02T03:04:05Z by SIGTERM; what is open at 2026-01-02T03:05:05Z is closed\n"), got)
	require.NotContains(t, got, "a drain has begun", "the first line says so")
}

// One loop is no "1 loops", and an upstream that is a list of IP addresses had the first of them twice.
func TestTheTextCountsLoopsAndNamesEachAddressOnce(t *testing.T) {
	s := newFake().state
	s.Proxy.Loops = 1
	list := proxy.UpstreamStatus{Name: "list", Address: "192.0.2.7:443", Usable: true}
	for _, a := range []string{"192.0.2.7:443", "192.0.2.8:443"} {
		list.Addresses = append(list.Addresses, proxy.AddressStatus{Addr: netip.MustParseAddrPort(a), State: "usable"})
	}
	s.Proxy.Upstreams = append(s.Proxy.Upstreams, list)
	got := text(s)
	require.Contains(t, got, "engine epoll, 1 loop (auto)\n")
	require.Equal(t, 1, strings.Count(got, "  192.0.2.7:443"), got)
	require.Equal(t, 1, strings.Count(got, "  192.0.2.8:443"), got)
}

func TestTheTextShowsAFailedReload(t *testing.T) {
	s := newFake().state
	require.NotContains(t, text(s), "reload")
	s.Config = ConfigState{Tried: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Faults: []string{"l4fwd.yaml:3: loops: wrong", "another"}, Fixed: []string{"engine", "dns.timeout"}}
	require.Contains(t, text(s), "the reload of 2026-01-02T03:04:05Z FAILED and changed nothing:\n  l4fwd.yaml:3: loops: wrong\n  another\n"+
		"new values that take an upgrade or a restart: engine, dns.timeout\n")
}

func TestTheTextShowsThePlaceInAWS(t *testing.T) {
	s := newFake().state
	require.NotContains(t, text(s), "elastic IP")
	s.EIP = &eip.Status{Wanted: true, Reason: "this machine is no EC2 instance"}
	require.Contains(t, text(s), "\nelastic IP NONE: this machine is no EC2 instance\n")
	s.EIP = &eip.Status{}
	s.Instance = &instance.Identity{Instance: "i-1", Interface: "eni-1", Region: "eu-west-1"}
	require.Contains(t, text(s), "\nelastic IP none, and none is wanted; i-1, eni-1, eu-west-1\n")
	now := time.Now()
	s.EIP = &eip.Status{Wanted: true, Hold: &eip.Hold{Public: netip.MustParseAddr("198.51.100.1"), Allocation: "eipalloc-1", Since: now.Add(-90 * time.Minute)},
		Verified: now.Add(-12 * time.Second), Reason: "throttled"}
	require.Contains(t, text(s), "\nelastic IP 198.51.100.1 (eipalloc-1) for 1h30m, verified 12s ago; throttled; i-1")
	s.Lifecycle = &lifecycle.Status{State: "terminating", Group: "aoai", Current: "Terminating", Target: "Terminated", Hooks: []string{"up (launch)"}, Fault: "denied"}
	require.Contains(t, text(s), "\nlifecycle terminating; group aoai; now Terminating on the way to Terminated; hooks up (launch); FAILING: denied\n")
}

func TestSizesAndAgesHaveThreeDigits(t *testing.T) {
	for bytes, want := range map[float64]string{0: "0 B", 999: "999 B", 999.6: "1.0 kB", 1500: "1.5 kB", 99_940: "99.9 kB", 250_000: "250 kB", 2e9: "2.0 GB", 5e15: "5000 TB"} {
		require.Equal(t, want, size(bytes))
	}
	for seconds, want := range map[float64]string{0.123: "100ms", 9.96: "10s", 192: "3m12s", 18180: "5h3m", 1051200: "12d4h"} {
		require.Equal(t, want, age(seconds))
	}
	require.Equal(t, "any number", limitText(0))
	require.Equal(t, "7", limitText(7))
}
