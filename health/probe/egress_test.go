package probe_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/health/probe"
)

// A service that says what one's address is: it may put spaces around it, and nothing else.
func TestTheAddressThatAServiceSees(t *testing.T) {
	for name, c := range map[string]struct {
		status       int
		text         string
		want, failed string
	}{
		"an address":            {200, "203.0.113.10\n", "203.0.113.10", ""},
		"an IPv4-mapped one":    {200, "::ffff:203.0.113.10", "203.0.113.10", ""},
		"a page":                {200, "<html>", "", "the answer (200) is no address"},
		"an address in a fault": {500, "203.0.113.10", "", "the answer (500) is no address"},
		"too long":              {200, string(bytes.Repeat([]byte(" "), 300)) + "203.0.113.10", "", "is no address"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "l4fwd", r.Header.Get("User-Agent"))
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.text)
			}))
			defer s.Close()
			addr, err := probe.Egress(t.Context(), s.URL)
			if c.failed == "" {
				require.NoError(t, err)
				require.Equal(t, netip.MustParseAddr(c.want), addr)
				return
			}
			require.ErrorContains(t, err, "ask "+s.URL+": ")
			require.ErrorContains(t, err, c.failed)
			require.False(t, addr.IsValid())
		})
	}
	_, err := probe.Egress(t.Context(), "http://[")
	require.ErrorContains(t, err, "ask http://[: ")
	_, err = probe.Egress(t.Context(), "http://"+closedPort(t).String())
	require.ErrorContains(t, err, ": connection refused")
}

// A refusal of Azure's may name the address that it refuses.
func TestTheAddressThatARefusalNames(t *testing.T) {
	for body, want := range map[string]string{
		"Your IP address is 192.0.2.7.": "192.0.2.7", "your ip: 192.0.2.7": "192.0.2.7", "from IP 192.0.2.7 is": "192.0.2.7", "IP address:192.0.2.7": "192.0.2.7",
		"IP 192.0.2.700": "", "IP 999.0.2.7": "", "Access denied": "", "version 192.0.2.7": "", "": "",
	} {
		got := probe.SeenAddress(body)
		require.Equal(t, want != "", got.IsValid(), body)
		if want != "" {
			require.Equal(t, want, got.String())
		}
	}
}

// The server wrote whole seconds, rounded down, in the middle of the request, as far as is known.
func TestTheClockOfAServer(t *testing.T) {
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	answer := func(answered time.Time, firstByte time.Duration) probe.HTTPResult {
		return probe.HTTPResult{Answered: answered, FirstByte: firstByte, Header: http.Header{"Date": {date.Format(http.TimeFormat)}}}
	}
	for answered, want := range map[time.Duration]time.Duration{
		time.Millisecond: 0, 999 * time.Millisecond: 0, 1001 * time.Millisecond: time.Second, -time.Millisecond: -time.Second, time.Hour + 400*time.Millisecond: time.Hour,
	} {
		c, known := probe.ClockOf(answer(date.Add(answered), 0))
		require.True(t, known)
		require.Equal(t, want, c.Skew, answered)
	}
	c, known := probe.ClockOf(answer(date.Add(10500*time.Millisecond), 8*time.Second))
	require.True(t, known)
	require.Equal(t, probe.ClockResult{Skew: 6 * time.Second, Took: 8 * time.Second}, c, "4 s before the answer")
	_, known = probe.ClockOf(answer(time.Time{}, 0))
	require.False(t, known, "no answer came")
	_, known = probe.ClockOf(probe.HTTPResult{Answered: date, Header: http.Header{"Date": {"yesterday"}}})
	require.False(t, known)
	_, known = probe.ClockOf(probe.HTTPResult{Answered: date})
	require.False(t, known)
}

// reads is what comes of the first writes on a connection, one text for each that comes by itself.
func reads(t *testing.T, hello probe.Hello) [][]byte {
	t.Helper()
	got := make(chan [][]byte, 1)
	addr := listens(t, func(c net.Conn) {
		var all [][]byte
		for patience := 10 * time.Second; ; patience = 200 * time.Millisecond {
			b := make([]byte, 8192)
			_ = c.SetReadDeadline(time.Now().Add(patience))
			n, err := c.Read(b)
			if n > 0 {
				all = append(all, b[:n])
			}
			if err != nil {
				break
			}
		}
		got <- all
	})
	_, err := probe.TLS(within(t, 10*time.Second), probe.TLSRequest{Addr: addr, ServerName: "one.example", Hello: hello})
	require.Error(t, err, "nobody answered")
	return <-got
}

// A hello in pieces is cut in the middle of the server's name; a whole one fits into a segment.
func TestHowAHelloIsSent(t *testing.T) {
	whole := reads(t, probe.HelloWhole)
	require.Len(t, whole, 1)
	require.Less(t, len(whole[0]), 600)
	require.Contains(t, string(whole[0]), "one.example")
	var pieces [][]byte
	for try := 0; len(pieces) != 2; try++ { // a reader that is late gets both at once
		require.Less(t, try, 20, "the hello comes whole")
		pieces = reads(t, probe.HelloInPieces)
	}
	require.True(t, bytes.HasSuffix(pieces[0], []byte("one.e")), "%q", pieces[0])
	require.True(t, bytes.HasPrefix(pieces[1], []byte("xample")), "%q", pieces[1])
	usual := bytes.Join(reads(t, probe.HelloUsual), nil)
	require.Greater(t, len(usual), 1000, "with a post-quantum key share")
}

// A port can be listened on or not, and is free again afterwards.
func TestAPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	require.ErrorIs(t, probe.Port(l.Addr().(*net.TCPAddr).AddrPort()), syscall.EADDRINUSE)
	require.NoError(t, probe.Port(netip.MustParseAddrPort("127.0.0.1:0")))
	require.ErrorIs(t, probe.Port(netip.MustParseAddrPort("192.0.2.1:0")), syscall.EADDRNOTAVAIL)
}
