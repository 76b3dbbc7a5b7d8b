package admin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy"
)

// decoded is the JSON of an answer.
func decoded[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	require.Equal(t, 200, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
	return v
}

// post sends a body to the API.
func post(h http.Handler, path string, body io.Reader, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, body)
	r.Host = "localhost"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Each request that is not as the document has it gets an error in words, and changes nothing.
func TestRequestsAreChecked(t *testing.T) {
	const kind = "application/json"
	for _, c := range []struct {
		path, kind, body string
		want             int
		says             string
	}{
		{"conns/close", "", `{"id":7}`, 415, "Content-Type"},
		{"conns/close", "application/x-www-form-urlencoded", `{"id":7}`, 415, "Content-Type"},
		{"conns/close", "application/xml", `{"id":7}`, 415, "send the header Content-Type: application/json"},
		{"conns/close", kind, ``, 400, "no JSON object"},
		{"conns/close", kind, `{"id":7,"force":true}`, 400, "force"},
		{"conns/close", kind, `{"id":7}{"id":8}`, 400, "follows"},
		{"conns/close", kind, `{"id":-1}`, 400, "id"},
		{"conns/close", kind, `{"id":18446744073709551616}`, 400, "id"},
		{"conns/close", kind, `{"id":18446744073709551615}`, 404, "no such connection"},
		{"conns/close", kind, `{"id":7}`, 200, "true"},
		{"addresses/eject", kind, `{"upstream":"u","address":"10.0.0.1"}`, 400, "ip:port"},
		{"addresses/eject", kind, `{"upstream":"u"}`, 400, "is missing: write it as GET /api/v1/addresses has it"},
		{"addresses/eject", kind, `{"upstream":"u","address":""}`, 400, "is missing: write it as GET /api/v1/addresses has it"},
		{"addresses/eject", kind, `{"upstream":"u","address":null}`, 400, "is missing: write it as GET /api/v1/addresses has it"},
		{"addresses/restore", kind, `{"upstream":"u"}`, 400, "is missing: write it as GET /api/v1/addresses has it"},
		{"addresses/restore", kind, `{"upstream":"u","address":"10.0.0.1:1","for":"1m"}`, 400, "restore takes no"},
		{"addresses/eject", kind, `{"upstream":"u","address":"10.0.0.1:1","for":"never"}`, 400, "no duration"},
		{"addresses/eject", kind, `{"upstream":"u","address":"10.0.0.1:1","for":"-1s"}`, 400, "out of range"},
		{"addresses/eject", kind, `{"upstream":"u","address":"10.0.0.1:1","for":"9000h"}`, 400, "out of range"},
		{"addresses/eject", kind, `{"upstream":"u","address":"10.0.0.1:1","for":"5m"}`, 200, "ejected_by_operator"},
		{"addresses/restore", kind, `{"upstream":"u","address":"10.0.0.1:1"}`, 409, "not ejected"},
		{"log-level", kind, `{"level":"loud"}`, 400, "use one of"},
		{"log-level", kind, `{"level":"debug","for":"1m"}`, 200, "debug"},
	} {
		d := newFake()
		w := post(NewHandler(d, loopback, zap.NewNop()), "/api/v1/"+c.path, strings.NewReader(c.body), "Content-Type", c.kind)
		require.Equal(t, c.want, w.Code, "%s %s: %s", c.path, c.body, w.Body)
		require.Contains(t, w.Body.String(), c.says, "%s %s", c.path, c.body)
		if c.want != 200 {
			require.Contains(t, w.Body.String(), `"error"`)
			require.Empty(t, d.asked)
		}
	}
}

// A parameter that cannot be read, or that there is not, is named: without it a filter would list everything.
func TestParametersThatCannotBeReadAreNamed(t *testing.T) {
	h := NewHandler(newFake(), loopback, zap.NewNop())
	for request, says := range map[string]string{
		"conns?client=%zz":                `client: invalid URL escape`,
		"conns?limit=1&sni=%":             `sni: invalid URL escape`,
		"conns?%zz=1":                     `%zz: invalid URL escape`,
		"conns?client=10.0.0.1;state=x":   `client: invalid semicolon separator`,
		"conns?limit=-1":                  `limit=\"-1\" is not valid`,
		"conns?limit=9223372036854775808": `limit=`,
		"conns?reverse=perhaps":           `reverse=\"perhaps\" is not valid`,
		"conns?state=asleep":              `state: \"asleep\" is not a choice; use one of `,
		"conns?stalls=both":               `stalls: \"both\" is not a choice; use one of `,
		"conns?sort=luck":                 `sort: \"luck\" is not a choice; use one of `,
		"conns?clients=10.0.0.1":          `the query has an unknown key \"clients\"`,
		"addresses?upstream=%zz":          `upstream: invalid URL escape`,
		"addresses?upsteam=u":             `the query has an unknown key \"upsteam\"`,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/api/v1/"+request, nil))
		require.Equal(t, 400, w.Code, "%s: %s", request, w.Body)
		require.Contains(t, w.Body.String(), says, request)
	}
}

// endless is a body that never ends, and counts what was read of it.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	e.read += len(b)
	return len(b), nil
}

func TestALargeBodyIsNotRead(t *testing.T) {
	body := &endless{}
	w := post(NewHandler(newFake(), loopback, zap.NewNop()), "/api/v1/log-level", body, "Content-Type", "application/json")
	require.Equal(t, 413, w.Code, w.Body)
	require.Less(t, body.read, 64<<10)
}

func TestNoActionIsTakenFromAPage(t *testing.T) {
	d := newFake()
	h := NewHandler(d, loopback, zap.NewNop())
	for _, path := range []string{"conns/close", "addresses/eject", "addresses/restore", "log-level"} {
		for _, header := range [][]string{{"Origin", "https://elsewhere.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Referer", "http://localhost:3000/"}} {
			w := post(h, "/api/v1/"+path, strings.NewReader(`{}`), append(header, "Content-Type", "application/json")...)
			require.Equal(t, 403, w.Code, "%s %v", path, header)
		}
	}
	for _, path := range []string{"drain", "reload", "conns/close", "addresses/eject", "addresses/restore", "log-level"} {
		for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain;charset=UTF-8", "TEXT/PLAIN", "text/plain;;"} {
			w := post(h, "/api/v1/"+path, strings.NewReader(`{"id":7}`), "Content-Type", kind)
			require.Equal(t, 415, w.Code, "%s %s", path, kind)
			require.Contains(t, w.Body.String(), "application/json")
		}
	}
	require.Equal(t, 405, ask(h, "GET", "/api/v1/conns/close?id=7", "localhost").Code)
	require.Empty(t, d.asked)
}

// listed is three connections, of which one stalls.
func listed() []proxy.Connection {
	at := netip.MustParseAddrPort
	return []proxy.Connection{
		{ID: 3, Client: at("10.0.0.3:1"), Upstream: "a", Address: at("20.0.0.1:443"), State: "relaying", Stalls: "client", Age: 10, Idle: 5, BytesDown: 1000},
		{ID: 1, Client: at("10.0.0.1:1"), Upstream: "a", Address: at("20.0.0.1:443"), State: "relaying", Stalls: "none", Age: 30, Idle: 1, BytesDown: 9000},
		{ID: 2, Client: at("[2001:db8::6666]:55555"), Upstream: "b", Address: at("[2001:db8::1]:443"), State: "half_closed_down", Stalls: "none", Age: 20},
	}
}

func TestConnectionsAreFilteredAndSorted(t *testing.T) {
	for query, want := range map[string]string{
		"": "[1 2 3]", "reverse=true": "[3 2 1]", "sort=age": "[1 2 3]", "sort=rate": "[1 3 2]", "sort=stalls": "[3 1 2]", "sort=bytes&limit=1": "[1]",
		"upstream=b": "[2]", "client=10.0.0.3": "[3]", "client=10.0.0.3:2": "[]", "address=20.0.0.1": "[1 3]", "stalls=any": "[3]", "state=half_closed_down": "[2]",
	} {
		d := newFake()
		d.conns = listed()
		h, l := handlerOf(d)
		list := decoded[ConnList](t, ask(h, "GET", "/api/v1/conns?"+query, "localhost"))
		l.forget.Stop()
		ids := []uint64{}
		for _, c := range list.Conns {
			ids = append(ids, c.ID)
		}
		require.Equal(t, want, fmt.Sprint(ids), query)
		require.Equal(t, 3, list.Total)
	}
	h := NewHandler(newFake(), loopback, zap.NewNop())
	for _, query := range []string{"sort=size", "upsteam=a", "limit=-1", "limit=x", "state=open", "stalls=me"} {
		require.Equal(t, 400, ask(h, "GET", "/api/v1/conns?"+query, "localhost").Code, query)
	}
}

// handlerOf answers for conns alone.
func handlerOf(d *fake) (http.Handler, *looks) {
	h := handlers{Daemon: d, log: zap.NewNop(), looks: newLooks()}
	return http.HandlerFunc(h.conns), h.looks
}

// A caller that reads slowly holds one of a few places; one too many is sent away at once.
func TestListingsAtOnceAreBounded(t *testing.T) {
	h, l := handlerOf(newFake())
	for range looksAtOnce {
		l.places <- struct{}{}
	}
	w := ask(h, "GET", "/api/v1/conns", "localhost")
	require.Equal(t, 503, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	<-l.places
	require.Equal(t, 200, ask(h, "GET", "/api/v1/conns", "localhost").Code)
	require.Len(t, l.places, looksAtOnce-1)
	l.forget.Stop()
}

// A rate is since an earlier listing that is old enough, else over the life of the connection; the answer says which.
func TestRatesSayWhatTheyAreOver(t *testing.T) {
	l := newLooks()
	now := time.Now()
	l.bases[0] = base{now.Add(-2 * time.Second), map[uint64][2]uint64{1: {0, 1000}}}
	from := l.base(now)
	c := Conn{Connection: proxy.Connection{ID: 1, Age: 100, BytesDown: 5000}}
	c.rate(from, now)
	require.Equal(t, "look", c.RateSince)
	require.InDelta(t, 2000, c.RateDown, 1)
	c = Conn{Connection: proxy.Connection{ID: 2, Age: 10, BytesDown: 5000}}
	c.rate(from, now)
	require.Equal(t, "life", c.RateSince)
	require.InDelta(t, 500, c.RateDown, 1)
	require.Nil(t, l.base(now.Add(-1500*time.Millisecond)), "too young")
	require.Nil(t, l.base(now.Add(2*time.Minute)), "too old")
}

// On a narrow terminal the table keeps to its width, and the columns that matter.
func TestConnsFitTheTerminal(t *testing.T) {
	list := ConnList{Total: 3}
	for _, c := range listed()[:2] {
		c.SNI, c.VPCE = "a-long-name.openai.azure.com", "vpce-0123456789abcdef0"
		list.Conns = append(list.Conns, Conn{Connection: c})
	}
	var narrow, wide strings.Builder
	WriteConns(&narrow, list, 80)
	WriteConns(&wide, list, 0)
	for line := range strings.Lines(narrow.String()) {
		require.LessOrEqual(t, len(strings.TrimSpace(line)), 80, line)
	}
	for _, name := range []string{"ID", "CLIENT", "STATE", "STALLS", "AGE"} {
		require.Contains(t, narrow.String(), name)
	}
	require.Contains(t, wide.String(), "vpce-0123456789abcdef0")
	require.NotContains(t, narrow.String(), "vpce-0123456789abcdef0")
}
