package admin

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/chromium"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
)

// shown is a fake daemon whose state changes while the page looks.
type shown struct {
	*fake
	mu sync.Mutex
}

func (s *shown) State() State             { s.mu.Lock(); defer s.mu.Unlock(); return s.fake.State() }
func (s *shown) Events() []Event          { s.mu.Lock(); defer s.mu.Unlock(); return s.fake.Events() }
func (s *shown) History() metrics.History { s.mu.Lock(); defer s.mu.Unlock(); return s.fake.History() }
func (s *shown) change(f func(d *fake))   { s.mu.Lock(); defer s.mu.Unlock(); f(s.fake) }

// hostile is a text of a stranger: HTML, quotes, and characters that control a terminal or turn text around.
const hostile = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'\x1b[31m\u202egnp.exe\x00\n{{7*7}}"

// strange is a daemon that shows everything the page can show, with texts of strangers wherever there may be one.
func strange() *shown {
	d := newFake()
	s := &d.state
	s.Ready, s.Started = true, time.Now().Add(-5*time.Hour)
	s.Conditions = append(s.Conditions, ConditionState{Name: "eip", OK: true})
	s.Config.Faults, s.Config.Fixed = []string{"l4fwd.yaml:3: " + hostile}, []string{"loops"}
	s.Instance = &instance.Identity{Instance: "i-0abc", Region: "eu-west-1"}
	s.EIP = &eip.Status{Wanted: true, Reason: hostile}
	s.Lifecycle = &lifecycle.Status{State: "in_service", Group: "aoai", Fault: hostile}
	u := &s.Proxy.Upstreams[0]
	u.Detail, u.DNSError, u.Storm = hostile, hostile, hostile
	u.Admission = &proxy.AdmissionStatus{State: proxy.Refused, Detail: hostile}
	u.Addresses[0].State, u.Addresses[0].Until = "ejected_by_operator", time.Now().Add(time.Hour)
	u.Addresses[1].Why = hostile
	at := netip.MustParseAddrPort
	d.conns = []proxy.Connection{
		{ID: 7, Client: at("10.0.0.3:1"), Upstream: u.Name, Address: at("192.0.2.1:443"), SNI: hostile, State: "relaying", Stalls: "client", Age: 10, BytesDown: 1000},
		{ID: 8, Client: at("[2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:65535"), Upstream: u.Name, Address: at("192.0.2.2:443"), State: "half_closed_down", Stalls: "none", Age: 3000, BytesDown: 9e9},
		{ID: 9, Client: at("10.0.0.4:1"), State: "preface", Stalls: "none"},
	}
	for i, level := range []string{"info", "warn", "error"} {
		d.events = append(d.events, Event{Number: uint64(i + 1), At: time.Now(), Kind: "operator", Level: level, Text: hostile, Fields: map[string]any{"a": hostile, hostile: 3, "list": []string{hostile}}})
	}
	d.history = metrics.History{Interval: 4, Span: 900, Refused: map[string]uint64{"sni_unlisted": 12}, Ended: map[string]uint64{"client_closed": 3400}}
	for i := range 225 {
		wave := float64(i % 50)
		p := metrics.Point{At: time.Now().Add(time.Duration(i-225) * 4 * time.Second), Active: int64(i), Connections: wave, BytesUp: 1e5 * wave, BytesDown: 1e6 * wave, Refused: wave / 10}
		if i > 100 {
			p.ConnectP50, p.ConnectP99 = new(wave/1000), new(wave/100)
		}
		d.history.Points = append(d.history.Points, p)
	}
	return &shown{fake: d}
}

// opened serves a fake daemon and opens its page.
func opened(t *testing.T, b *chromium.Browser, d *shown) (*chromium.Page, *httptest.Server) {
	srv := httptest.NewServer(NewHandler(d, loopback, zap.NewNop()))
	t.Cleanup(func() { shut(srv) })
	p := b.Open(t)
	p.Size(1280, 900, false)
	p.Go(srv.URL)
	p.Until("document.getElementById('live').textContent === 'live'")
	return p, srv
}

// shut ends a server, and what pages still read of it.
func shut(srv *httptest.Server) {
	srv.Listener.Close()
	srv.CloseClientConnections()
	srv.Close()
}

// fits fails if the page is wider than the screen, or has something that sticks out.
func fits(t *testing.T, p *chromium.Page) {
	t.Helper()
	var wide []string
	p.Eval(`[...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".skip, dialog")).map(e => e.outerHTML.slice(0, 200))`, &wide)
	require.Empty(t, wide)
	require.Equal(t, "true", p.Text("document.documentElement.scrollWidth <= innerWidth"))
}

// accessible fails for what axe-core finds.
func accessible(t *testing.T, p *chromium.Page, what string) {
	t.Helper()
	for _, v := range p.Axe("body") {
		t.Errorf("%s: %s (%s): %s %+v", what, v.ID, v.Impact, v.Help, v.Nodes)
	}
}

func TestThePageInABrowser(t *testing.T) {
	b := chromium.Start(t)
	t.Run("seen", func(t *testing.T) { t.Parallel(); testSeen(t, b) })
	t.Run("hidden", func(t *testing.T) { t.Parallel(); testHidden(t, b) })
	t.Run("too many", func(t *testing.T) { t.Parallel(); testTooMany(t, b) })
}

func testSeen(t *testing.T, b *chromium.Browser) {
	d := strange()
	p, srv := opened(t, b, d)

	t.Run("texts of strangers stay texts", func(t *testing.T) {
		p.Until("document.querySelectorAll('#events li').length === 3 && document.querySelectorAll('#busiest tbody tr').length === 3")
		require.Equal(t, "0", p.Text("document.querySelectorAll('img:not(.brand img), main script, body script').length"))
		body := p.Text("document.body.innerText")
		require.Contains(t, body, `"><img src=x onerror=alert(1)><script>alert(2)</script>'`+"\ufffd[31m\ufffdgnp.exe\ufffd\ufffd{{7*7}}")
		require.Equal(t, "false", p.Text(`/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/.test(document.documentElement.outerHTML)`))
	})
	t.Run("both themes and all widths are accessible", func(t *testing.T) {
		p.Theme("light")
		fits(t, p)
		accessible(t, p, "light")
		p.Click("[data-action=eject]")
		require.Empty(t, p.Axe("dialog"))
		p.Press("Escape")
		p.Theme("dark")
		p.Size(360, 740, true)
		fits(t, p)
		accessible(t, p, "dark, on a phone")
		p.Size(1280, 900, false)
	})
	t.Run("what changes is shown", func(t *testing.T) {
		d.change(func(f *fake) {
			f.state.Ready, f.state.Conditions = false, []ConditionState{{Name: "upstream", Reason: "dais24: every address fails"}}
		})
		p.Until("document.title === 'l4fwd: not ready: upstream: dais24: every address fails'")
		require.Equal(t, "not_ready", p.Text("document.body.dataset.level"))
	})
	t.Run("a chart has its words", func(t *testing.T) {
		require.Contains(t, p.Text("document.querySelector('#chart-connect desc').textContent"), "p99: now ")
		require.Contains(t, p.Text("document.querySelector('#chart-first desc').textContent"), "p50: nothing measured")
		require.Equal(t, "225", p.Text("document.querySelector('#chart-active path.line').getAttribute('d').match(/[ML]/g).length"))
	})
	require.Empty(t, p.Troubles())
	for _, url := range p.Requests() {
		require.Contains(t, url, srv.URL+"/")
	}
	t.Run("old data are marked when the daemon is gone", func(t *testing.T) {
		srv.CloseClientConnections()
		srv.Listener.Close()
		p.Until("document.body.dataset.level === 'gone'")
		require.Equal(t, "l4fwd: no contact", p.Text("document.title"))
		p.Until(`document.getElementById("age").checkVisibility() && /^What is shown below is \d+ s old. It was: not ready/.test(document.getElementById("age").textContent)`)
		require.Equal(t, "0", p.Text("document.querySelectorAll('button[data-action]:enabled').length"))
		accessible(t, p, "gone")
	})
}

// A page that nobody sees costs nothing.
func testHidden(t *testing.T, b *chromium.Browser) {
	d := strange()
	h := NewHandler(d, loopback, zap.NewNop())
	var open atomic.Int64
	streams := func(n int64) {
		t.Helper()
		require.Eventually(t, func() bool { return open.Load() == n }, 30*time.Second, 10*time.Millisecond)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/stream" {
			open.Add(1)
			defer open.Add(-1)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { shut(srv) })
	p := b.Open(t)
	p.Go(srv.URL)
	p.Until("document.getElementById('live').textContent === 'live'")
	streams(1)
	hide := func(hidden string) {
		p.Eval("Object.defineProperty(document, 'hidden', {value: "+hidden+", configurable: true}), document.dispatchEvent(new Event('visibilitychange'))", nil)
	}
	hide("true")
	streams(0)
	require.Equal(t, "paused", p.Text("document.getElementById('live').textContent"))
	hide("false")
	streams(1)
	p.Until("document.getElementById('live').textContent === 'live'")
	hide("true")
	streams(0)
}

// The 17th page says why it shows nothing, and begins once there is a place.
func testTooMany(t *testing.T, b *chromium.Browser) {
	srv := httptest.NewServer(NewHandler(strange(), loopback, zap.NewNop()))
	t.Cleanup(func() { shut(srv) })
	var open []io.Closer
	for range streamListeners {
		resp, err := http.Get(srv.URL + "/api/v1/stream")
		require.NoError(t, err)
		open = append(open, resp.Body)
	}
	p := b.Open(t)
	p.Go(srv.URL)
	p.Until("document.getElementById('live').textContent === '16 status pages are open already: close one'")
	for _, c := range open {
		c.Close()
	}
	p.Until("document.getElementById('live').textContent === 'live'")
	p.Go("about:blank")
}
