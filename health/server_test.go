package health

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// serve runs a health server for h on loopback until the test ends, and returns its address.
func serve(t *testing.T, h *Health, alive func(context.Context) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serveOn(t, l, h, alive)
}

// serveOn is serve with a listener.
func serveOn(t *testing.T, l net.Listener, h *Health, alive func(context.Context) error) string {
	t.Helper()
	mux := http.NewServeMux()
	Handle(mux, h, alive)
	srv := NewServer(mux, nil)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(Listener(l)) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return l.Addr().String()
}

func fine(context.Context) error { return nil }

// request sends raw bytes, then a request, and returns the answer's status, body and headers.
func request(t *testing.T, addr, first, method, path string) (int, string, http.Header) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = io.WriteString(c, first+method+" "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	req, _ := http.NewRequest(method, "http://x"+path, nil)
	resp, err := http.ReadResponse(bufio.NewReader(c), req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body), resp.Header
}

func TestReadyzNamesWhatFails(t *testing.T) {
	h := New()
	var upstream error
	h.Register("listeners", func() error { return nil })
	h.Register("upstream", func() error { return upstream })
	addr := serve(t, h, fine)

	status, body, header := request(t, addr, "", "GET", "/readyz")
	require.Equal(t, 200, status)
	require.Equal(t, "ok\n", body)
	require.Equal(t, "no-store", header.Get("Cache-Control"))

	_, body, _ = request(t, addr, "", "GET", "/readyz?verbose")
	require.Equal(t, "[+]listeners ok\n[+]upstream ok\n", body)

	upstream = errors.New("a.example: no address yet")
	status, body, _ = request(t, addr, "", "GET", "/readyz")
	require.Equal(t, 503, status)
	require.Equal(t, "upstream: a.example: no address yet\n", body)

	status, body, _ = request(t, addr, "", "GET", "/readyz?verbose")
	require.Equal(t, 503, status)
	require.Equal(t, "[+]listeners ok\n[-]upstream: a.example: no address yet\n", body)
}

// What is to be said of a condition is shown in the verbose answer only, and does not decide.
func TestNotesAreShownBelowTheirCondition(t *testing.T) {
	h := New()
	h.Register("listeners", func() error { return nil })
	h.Register("upstream", func() error { return nil })
	h.Describe("upstream", func() []string { return []string{"10.0.0.1:443 ejected\n(5 attempts failed)", "second"} })
	addr := serve(t, h, fine)
	status, body, _ := request(t, addr, "", "GET", "/readyz?verbose")
	require.Equal(t, 200, status)
	require.Equal(t, "[+]listeners ok\n[+]upstream ok\n   10.0.0.1:443 ejected (5 attempts failed)\n   second\n", body)
	_, body, _ = request(t, addr, "", "GET", "/readyz")
	require.Equal(t, "ok\n", body)
}

// Why each address of an upstream is out was both its reason not to be ready and a note below.
func TestNothingIsSaidTwice(t *testing.T) {
	h := New()
	h.Register("upstream", func() error {
		return errors.New(`upstream "a" has no usable address: 10.0.0.1:443 ejected (5  attempts failed), 10.0.0.2:443 check_failed (refused)`)
	})
	h.Describe("upstream", func() []string {
		return []string{"10.0.0.1:443 ejected\n(5 attempts failed)", "10.0.0.2:443 check_failed (refused)", "10.0.0.3:443 ejected (of another)", "10.0.0.3:443 ejected (of another)"}
	})
	_, body, _ := request(t, serve(t, h, fine), "", "GET", "/readyz?verbose")
	require.Equal(t, `[-]upstream: upstream "a" has no usable address: 10.0.0.1:443 ejected (5 attempts failed), 10.0.0.2:443 check_failed (refused)`+
		"\n   10.0.0.3:443 ejected (of another)\n", body)
}

func TestOnlyGetAndHeadAreAnswered(t *testing.T) {
	addr := serve(t, New(), fine)
	for _, path := range []string{"/livez", "/readyz"} {
		status, body, _ := request(t, addr, "", "HEAD", path)
		require.Equal(t, 200, status)
		require.Empty(t, body)
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			status, _, header := request(t, addr, "", method, path)
			require.Equal(t, 405, status, method)
			require.Equal(t, "no-store", header.Get("Cache-Control"))
		}
	}
	status, _, _ := request(t, addr, "", "GET", "/")
	require.Equal(t, 404, status)
}

func TestLivezWaitsForTheLoopsOnlySoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := http.NewServeMux()
		Handle(mux, New(), func(ctx context.Context) error {
			<-ctx.Done()
			return errors.New("loop 1 has not turned")
		})
		w := &recorder{header: http.Header{}}
		start := time.Now()
		r, err := http.NewRequest("GET", "/livez", nil)
		require.NoError(t, err)
		mux.ServeHTTP(w, r)
		require.Equal(t, AliveTimeout, time.Since(start))
		require.Equal(t, 503, w.status)
		require.Equal(t, "loops: loop 1 has not turned\n", w.body.String())
	})
}

type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }

// A Network Load Balancer with PROXY protocol on sends the header to the health port as well. The last case is the one
// seen on the wire (kubernetes#57250): LOCAL, family 0x11, 84 bytes that hold no address block but two TLVs only.
func TestCallersMayUseTheProxyProtocol(t *testing.T) {
	h := New()
	h.Register("listeners", func() error { return nil })
	addr := serve(t, h, fine)
	sig := unhex(t, "0d0a0d0a000d0a515549540a")
	local := sig + unhex(t, "20110054") + unhex(t, "03000412345678") + unhex(t, "04004a") + strings.Repeat("\x00", 74)
	cases := map[string]string{
		"none":              "",
		"v1":                "PROXY TCP4 192.0.2.1 198.51.100.1 4711 8080\r\n",
		"v1 unknown":        "PROXY UNKNOWN\r\n",
		"v2":                sig + unhex(t, "2111000c"+"c0000201"+"c6336401"+"1267"+"1f90"),
		"v2 with TLV":       sig + unhex(t, "21110016"+"c0000201"+"c6336401"+"1267"+"1f90"+"ea000701"+"767063652d31"),
		"v2 local, empty":   sig + unhex(t, "20000000"),
		"v2 local, no addr": sig + unhex(t, "20110007"+"03000412345678"),
		"v2 local, NLB":     local,
		"v2 unspecified":    sig + unhex(t, "21000000"),
		"v2 Unix":           sig + unhex(t, "213100d8") + strings.Repeat("/", 216),
		"v1, two families":  "PROXY TCP6 2001:db8::7 192.0.2.1 51512 443\r\n",
	}
	for name, first := range cases {
		t.Run(name, func(t *testing.T) {
			status, body, _ := request(t, addr, first, "GET", "/readyz")
			require.Equal(t, 200, status)
			require.Equal(t, "ok\n", body)
		})
	}
}

func unhex(t *testing.T, s string) string {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return string(b)
}

func TestASilentCallerIsCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	addr := serve(t, New(), fine)
	for _, first := range []string{"", "PROXY TCP4 192.0.2.1 198.51.100.1 4711 8080\r\n", "PROXY TC", "GET /livez"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			defer c.Close()
			_, err = io.WriteString(c, first)
			require.NoError(t, err)
			start := time.Now()
			_ = c.SetReadDeadline(start.Add(15 * time.Second))
			_, _ = io.ReadAll(c)
			require.Less(t, time.Since(start), requestTimeout+2*time.Second)
		})
	}
}

// Malformed headers end the connection, and so does one that is cut short; what only looks like one at first is a request.
func TestBadHeadersAndWhatIsNone(t *testing.T) {
	addr := serve(t, New(), fine)
	for _, bad := range []string{"PROXY garbage\r\n", "\r\n\r\n\x00\r\nQUIT\n\x31", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"} {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = io.WriteString(c, bad+"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		got, _ := io.ReadAll(c)
		require.NotContains(t, string(got), "200 OK", "%q", bad)
		c.Close()
	}
	for _, method := range []string{"POST", "PUT", "PATCH"} { // begin like PROXY
		status, _, _ := request(t, addr, "", method, "/livez")
		require.Equal(t, 405, status)
	}
}

// A header that comes byte by byte, and a request that comes with it in one packet, are read alike; answers over one connection
// go on.
func TestHeadersMayBeCutAnywhere(t *testing.T) {
	addr := serve(t, New(), fine)
	header := "PROXY TCP6 2001:db8::7 192.0.2.1 51512 443\r\n"
	all := header + "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
	for cut := 1; cut < len(all); cut += 3 {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		in := bufio.NewReader(c)
		for _, part := range []string{all[:cut], all[cut:], "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"} {
			_, err = io.WriteString(c, part)
			require.NoError(t, err)
		}
		for range 2 {
			r, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			require.Equal(t, 200, r.StatusCode)
			_, err = io.Copy(io.Discard, r.Body)
			require.NoError(t, err)
		}
		c.Close()
	}
}
