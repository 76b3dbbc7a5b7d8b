package admin

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/proxy"
)

// daemonOf serves a daemon until the test ends, and returns a client of it and what it logs.
func daemonOf(t *testing.T, d Daemon) (*Client, *observer.ObservedLogs) {
	t.Helper()
	core, lines := observer.New(zap.InfoLevel)
	l := listen(t, "tcp", "127.0.0.1:0")
	serving(t, l, NewHandler(d, l.Addr(), zap.New(core)))
	return NewClient("conns", "tcp", l.Addr().String()), lines
}

// twoUpstreams is a daemon with three addresses of two upstreams.
func twoUpstreams() *fake {
	d := newFake()
	at := netip.MustParseAddrPort
	d.state.Proxy.Upstreams = []proxy.UpstreamStatus{
		{Name: "a & b", Addresses: []proxy.AddressStatus{{Addr: at("192.0.2.1:443"), State: "usable", Active: 3}, {Addr: at("192.0.2.2:443"), State: "failing", Failures: 4, Why: "refused"}}},
		{Name: "c", Addresses: []proxy.AddressStatus{{Addr: at("[2001:db8::1]:443"), State: "usable"}}},
	}
	return d
}

func TestTheClientListsAddresses(t *testing.T) {
	c, _ := daemonOf(t, twoUpstreams())
	list, raw, err := c.Addresses("")
	require.NoError(t, err)
	require.Len(t, list.Addresses, 3)
	require.Equal(t, [2]string{"c", "[2001:db8::1]:443"}, [2]string{list.Addresses[2].Upstream, list.Addresses[2].Addr.String()})
	require.Equal(t, byte('{'), raw[0])
	require.Equal(t, byte('}'), raw[len(raw)-1])

	list, _, err = c.Addresses("a & b")
	require.NoError(t, err)
	require.Len(t, list.Addresses, 2, "those of the upstream alone")
	require.Equal(t, AddressRow{"a & b", proxy.AddressStatus{Addr: netip.MustParseAddrPort("192.0.2.2:443"), State: "failing", Failures: 4, Why: "refused"}}, list.Addresses[1])

	_, _, err = c.Addresses("d")
	require.EqualError(t, err, `upstream "d": there is no upstream of this name; there are: a & b, c`)
	require.NotErrorIs(t, err, ErrNoDaemon)
	w := ask(NewHandler(newFake(), loopback, zap.NewNop()), "GET", "/api/v1/addresses?upstream=literal", "localhost")
	require.JSONEq(t, `{"addresses": []}`, w.Body.String(), "an upstream without addresses has an empty list")
}

// Each action reaches the daemon as it was meant, and the log says who took it.
func TestTheClientActs(t *testing.T) {
	d := twoUpstreams()
	c, lines := daemonOf(t, d)
	addr := netip.MustParseAddrPort("192.0.2.1:443")

	require.NoError(t, c.CloseConn(7))
	require.EqualError(t, c.CloseConn(8), "no such connection is open")
	out, err := c.Eject("a & b", addr, 90*time.Second)
	require.NoError(t, err)
	require.Equal(t, proxy.Ejection{Upstream: "a & b", Address: addr, State: "ejected_by_operator"}, out)
	_, err = c.Eject("a & b", addr, 0)
	require.NoError(t, err)
	_, err = c.Restore("a & b", addr)
	require.EqualError(t, err, proxy.ErrNotEjected.Error())
	level, err := c.LogLevel()
	require.NoError(t, err)
	require.Equal(t, LogLevel{Level: "info", Configured: "info"}, level)
	level, err = c.SetLogLevel("debug", time.Minute)
	require.NoError(t, err)
	require.Equal(t, LogLevel{Level: "debug", Configured: "info"}, level)
	require.Equal(t, []string{"eject a & b 192.0.2.1:443 1m30s", "eject a & b 192.0.2.1:443 0s", "level debug 1m0s"}, d.asked)

	for i, want := range []map[string]any{
		{"id": uint64(7)},
		{"upstream": "a & b", "address": "192.0.2.1:443", "for": 90 * time.Second, "warning": ""},
		{"upstream": "a & b", "address": "192.0.2.1:443", "for": time.Duration(0), "warning": ""},
		{"to": "debug", "for": time.Minute},
	} {
		got := lines.All()[i].ContextMap()
		from, err := netip.ParseAddrPort(got["from"].(string))
		require.NoError(t, err)
		require.True(t, from.Addr().IsLoopback())
		delete(got, "from")
		require.Equal(t, want, got, lines.All()[i].Message)
	}
	require.Equal(t, 4, lines.Len(), "what failed is not logged as done")
}

// A daemon that restores whatever it is asked to.
type restores struct{ *fake }

func (r restores) RestoreAddress(name string, addr netip.AddrPort) (proxy.Ejection, error) {
	return proxy.Ejection{Upstream: name, Address: addr, State: "usable", Others: 2}, nil
}

func TestTheClientRestores(t *testing.T) {
	c, lines := daemonOf(t, restores{newFake()})
	out, err := c.Restore("u", netip.MustParseAddrPort("[2001:db8::1]:443"))
	require.NoError(t, err)
	require.Equal(t, 2, out.Others)
	require.Equal(t, "[2001:db8::1]:443", lines.FilterMessage(MsgRestored).All()[0].ContextMap()["address"])
}

func TestTheClientListsEvents(t *testing.T) {
	d := newFake()
	d.events = []Event{{Number: 4, Kind: "drain"}, {Number: 5, Kind: "start"}}
	c, _ := daemonOf(t, d)
	list, err := c.Events()
	require.NoError(t, err)
	require.Len(t, list.Events, 2)
	require.Equal(t, uint64(5), list.Events[1].Number)
}

// A query goes through an URL and back: what the verb asks for is what the daemon lists.
func TestTheClientListsConnections(t *testing.T) {
	d := newFake()
	d.conns = listed()
	looks := newLooks()
	h := handlers{Daemon: d, log: zap.NewNop(), looks: looks}
	l := listen(t, "tcp", "127.0.0.1:0")
	serving(t, l, Named(AdminPort, http.HandlerFunc(h.conns)))
	t.Cleanup(func() { looks.forget.Stop() })
	c := NewClient("conns", "tcp", l.Addr().String())

	list, err := c.Conns(ConnQuery{})
	require.NoError(t, err)
	require.Equal(t, [2]int{3, 3}, [2]int{list.Total, list.Found})
	list, err = c.Conns(ConnQuery{Upstream: "a", Sort: "age", Reverse: true, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, [3]int{3, 2, 1}, [3]int{list.Total, list.Found, len(list.Conns)})
	require.Equal(t, uint64(3), list.Conns[0].ID, "the youngest first")
	raw, err := c.ConnsJSON(ConnQuery{Client: "2001:db8::6666"})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &list))
	require.Equal(t, uint64(2), list.Conns[0].ID)
	_, err = c.Conns(ConnQuery{Stalls: "both"})
	require.ErrorContains(t, err, `stalls: "both" is not a choice; use one of `)
	_, err = c.ConnsJSON(ConnQuery{State: "x"})
	require.ErrorContains(t, err, `state: "x" is not a choice`)
}

func TestAQuerySurvivesItsURL(t *testing.T) {
	t.Parallel()
	for _, q := range []ConnQuery{
		{Sort: "id"},
		{Upstream: "u", Listener: "l", Address: "[::1]:443", Client: "10.0.0.1", SNI: "a&b=c", State: "dialing", Stalls: "any", Sort: "rtt", Reverse: true, Limit: 7},
	} {
		values, err := url.ParseQuery(q.Values().Encode())
		require.NoError(t, err)
		got, err := parseConnQuery(values)
		require.NoError(t, err)
		require.Equal(t, q, got)
	}
	require.Empty(t, ConnQuery{}.Values(), "no parameter without a need: an older daemon refuses those it does not know")
	got, err := parseConnQuery(url.Values{"limit": {"0"}, "sort": {"age", "idle"}})
	require.NoError(t, err)
	require.Equal(t, ConnQuery{Sort: "idle"}, got, "the last of several counts, and 0 is no limit")
}

// Half of an answer, or the JSON of another server under our name, is no listing.
func TestAListingThatIsNoJSON(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	serving(t, l, Named(AdminPort, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"conns": [`)) })))
	_, err := NewClient("conns", "tcp", l.Addr().String()).ConnsJSON(ConnQuery{})
	require.ErrorIs(t, err, ErrNoDaemon)
}

// An error without our JSON is quoted, but no more of it than tells something.
func TestAnAnswerWithAnErrorIsQuoted(t *testing.T) {
	long := make([]byte, 1000)
	for i := range long {
		long[i] = 'x'
	}
	for body, want := range map[string]string{
		`{"error": "no such connection"}`: "no such connection", `{"error": ""}`: ` answers 418 I'm a teapot: {"error": ""}`,
		" a line\n": " answers 418 I'm a teapot: a line", string(long): " answers 418 I'm a teapot: " + string(long[:200]),
		`{"error": "\u001b[2J"}`: `\x1b[2J`,
	} {
		l := listen(t, "tcp", "127.0.0.1:0")
		serving(t, l, Named(AdminPort, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = w.Write([]byte(body))
		})))
		err := NewClient("conns", "tcp", l.Addr().String()).CloseConn(7)
		if want[0] == ' ' {
			want = l.Addr().String() + want
		}
		require.EqualError(t, err, want)
	}
}

// The advice fits the error: a dial has a shorter limit than the answer, and only what the network says is quoted.
func TestTheErrorOfAnUnreachedDaemonSaysHowLongItWaited(t *testing.T) {
	t.Parallel()
	c := NewClient("status", "tcp", "127.0.0.1:9901").Within(time.Minute)
	dial := &url.Error{Op: "Get", URL: "http://x", Err: &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}}
	read := &url.Error{Op: "Get", URL: "http://x", Err: &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}}
	require.EqualError(t, c.unreached(dial), "no daemon answers on 127.0.0.1:9901: nothing came within 3s")
	require.EqualError(t, c.unreached(read), "no daemon answers on 127.0.0.1:9901: nothing came within 1m0s")
	require.EqualError(t, c.Within(time.Second).unreached(dial), "no daemon answers on 127.0.0.1:9901: nothing came within 1s")
	require.ErrorIs(t, c.unreached(errors.New("malformed HTTP response")), ErrNoDaemon)
}

// A daemon that begins an answer and hangs is slow: it is no other server.
func TestAnAnswerThatStops(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	l := listen(t, "tcp", "127.0.0.1:0")
	serving(t, l, Named(AdminPort, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"pid": 7`))
		_ = http.NewResponseController(w).Flush()
		<-hang
	})))
	defer close(hang)
	_, _, err := NewClient("status", "tcp", l.Addr().String()).Within(50 * time.Millisecond).State()
	require.EqualError(t, err, "no daemon answers on "+l.Addr().String()+": nothing came within 50ms")
}

func TestAnUpgradeHasAnOutcome(t *testing.T) {
	d := newFake()
	c, _ := daemonOf(t, d)
	d.upgraded = Upgraded{Taken: true, PID: 99, Version: "2.0.0", Connections: 12, Pause: 0.025}
	out, err := c.Upgrade()
	require.NoError(t, err)
	require.Equal(t, d.upgraded, out)
	d.upgraded = Upgraded{Cause: "the new process exited: exit status 1"}
	out, err = c.Upgrade()
	require.NoError(t, err, "that it failed is an outcome")
	require.Equal(t, d.upgraded, out)
	w := httptest.NewRecorder()
	handlers{Daemon: d}.upgrade(w, nil)
	require.Equal(t, 422, w.Code)
	d.refuses = errors.New("an upgrade is under way")
	_, err = c.Upgrade()
	require.ErrorContains(t, err, "answers 409 Conflict: an upgrade is under way")
	require.Equal(t, "the admin API", d.asked[0])
	require.Equal(t, upgradeTime+10*time.Second, c.http.Timeout, "the daemon answers first")
}
