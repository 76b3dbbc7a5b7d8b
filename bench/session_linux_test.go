package main

import (
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/load"
)

// TestTLSClientsResume: with tickets both kinds of clients do exchanges without an error. Without them their second handshake
// is a full one, which is no figure but an error.
func TestTLSClientsResume(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, tc := range []struct {
		role   string
		ending load.Ending
		wrong  string
	}{
		{ticketsRole, load.LikePython, ""},
		{ticketsRole, load.LikeNode, ""},
		{tlsRole, load.LikePython, "the session was not resumed"},
	} {
		t.Run(tc.role+" "+string(tc.ending), func(t *testing.T) {
			r := sessions(t, tc.role, tc.ending)
			if tc.wrong != "" {
				require.NotEmpty(t, r.Errors)
				assert.Contains(t, r.Errors[0], tc.wrong)
				return
			}
			require.Empty(t, r.Errors)
			assert.Positive(t, r.Result.Groups[0].Ops)
		})
	}
}

// sessions runs TLS clients against an origin for half a second, without a relay.
func sessions(t *testing.T, role string, ending load.Ending) load.Reply {
	t.Helper()
	origin, ready, err := startOrigin(t.Context(), nil, role, []string{"127.0.0.1"})
	require.NoError(t, err)
	defer origin.stop()
	l, err := startChild(t.Context(), nil, "load")
	require.NoError(t, err)
	defer l.stop()
	group := load.Group{Kind: load.TLS, Conns: 4, Up: 1024, Down: 2048, Ending: ending}
	o := load.Open{Target: ready.Addrs[0], Sources: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Groups: []load.Group{group}}
	_, err = l.ask(load.Command{Open: &o}, 30*time.Second)
	require.NoError(t, err)
	w := load.Window{Length: 500 * time.Millisecond, Known: []int{os.Getpid()}}
	r, err := l.ask(load.Command{Window: &w}, 30*time.Second)
	require.NoError(t, err)
	return r
}
