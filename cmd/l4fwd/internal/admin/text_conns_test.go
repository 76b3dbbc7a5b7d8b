package admin

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy"
)

// connsText is the lines of a table of connections.
func connsText(list ConnList, width int) []string {
	var b strings.Builder
	WriteConns(&b, list, width)
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
}

// A connection whose upstream is known, and one whose is not.
func TestTheTableOfConnections(t *testing.T) {
	t.Parallel()
	at := netip.MustParseAddrPort
	list := ConnList{Total: 9, Found: 2, Conns: []Conn{
		{RateUp: 10, RateDown: 2500, RateSince: "life", Connection: proxy.Connection{
			ID: 7, Listener: "in", Client: at("10.0.0.3:1"), SNI: "a.example", VPCE: "vpce-1", Upstream: "a", Address: at("20.0.0.1:443"), State: "relaying", Stalls: "client",
			Age: 70, Idle: 0.25, BytesUp: 1500, BytesDown: 2e6, SpliceUp: true, SpliceDn: true,
			ClientLeg: proxy.Leg{Known: true, RTT: 1.23456, Retransmits: 3}, Leg: proxy.Leg{Known: true, RTT: 20, Retransmits: 4}}},
		{RateSince: "life", Connection: proxy.Connection{ID: 8, Listener: "in", Client: at("[2001:db8::1]:2"), State: "preface", Stalls: "none", ClientLeg: proxy.Leg{Known: true, RTT: 0.5}}},
	}}
	require.Equal(t, []string{
		"ID  CLIENT           UPSTREAM  UPSTREAM ADDRESS  STATE     STALLS  AGE    IDLE   UP/s  DOWN/s  UP      DOWN    RTT c/u      RETRANS c/u  BYTES ARE  SNI        VPCE    LISTENER",
		"7   10.0.0.3:1       a         20.0.0.1:443      relaying  client  1m10s  300ms  10 B  2.5 kB  1.5 kB  2.0 MB  1.23ms/20ms  3/4          spliced    a.example  vpce-1  in",
		"8   [2001:db8::1]:2  -         -                 preface   -       0s     0s     0 B   0 B     0 B     0 B     0.5ms/-      0/0          copied     -          -       in",
		"2 of 9 connections; rates over the life of each",
	}, connsText(list, 0))

	list.Conns[1].RateSince, list.Conns[1].RateSeconds, list.Found = "look", 12, 5
	narrow := connsText(list, 150)
	require.Equal(t, "ID  CLIENT           UPSTREAM  UPSTREAM ADDRESS  STATE     STALLS  AGE    IDLE   UP/s  DOWN/s  UP      DOWN    RTT c/u      RETRANS c/u  BYTES ARE", narrow[0])
	require.Equal(t, []string{"2 of 9 connections; 5 match; rates over the last 12s, of new ones over their life", "too narrow for SNI, VPCE, LISTENER"}, narrow[3:])
	require.Equal(t, "too narrow for 4 more columns: --output json has all", connsText(list, len(narrow[0])-1)[4])
	require.Len(t, connsText(list, len(narrow[0])), 5)
	require.Equal(t, "ID  CLIENT           STATE     STALLS  AGE    IDLE", connsText(list, 51)[0], "the last that is left out")
	require.Equal(t, "ID  CLIENT           STATE     STALLS  AGE", connsText(list, 1)[0], "what is never left out")
	require.Equal(t, "0 of 9 connections", connsText(ConnList{Total: 9}, 0)[1])
}

func TestHowTheBytesOfAConnectionMove(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]proxy.Connection{
		"spliced": {SpliceUp: true, SpliceDn: true}, "spliced up": {SpliceUp: true}, "spliced down": {SpliceDn: true}, "copied": {},
	} {
		require.Equal(t, want, moved(&Conn{Connection: c}))
	}
}

func TestTheTableOfAddresses(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	WriteAddresses(&b, AddressList{[]AddressRow{
		{"a", proxy.AddressStatus{Addr: netip.MustParseAddrPort("192.0.2.1:443"), State: "usable", Active: 12}},
		{"a", proxy.AddressStatus{Addr: netip.MustParseAddrPort("192.0.2.2:443"), State: "failing", Failures: 3, Why: "connect_refused"}},
	}})
	require.Equal(t, ""+
		"UPSTREAM  ADDRESS        STATE    ACTIVE  FAILED  WHY\n"+
		"a         192.0.2.1:443  usable   12      0\n"+
		"a         192.0.2.2:443  failing  0       3       connect_refused\n", b.String())
}
