package admin

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
)

// well is a state without a listener or an upstream.
func well() State { return State{Ready: true, Proxy: proxy.Status{Engine: "uring"}} }

// upstreamText is what the text says of one upstream, below its tables.
func upstreamText(change func(*proxy.UpstreamStatus)) string {
	u := proxy.UpstreamStatus{Name: "a", Address: "192.0.2.1:443", Usable: true,
		Addresses: []proxy.AddressStatus{{Addr: netip.MustParseAddrPort("192.0.2.1:443"), State: "usable"}}}
	change(&u)
	s := well()
	s.Proxy.Upstreams = []proxy.UpstreamStatus{u}
	_, below, _ := strings.Cut(text(s), "DNS AGE\n") // the end of its heading
	return below
}

func TestTheTextOfAnUpstream(t *testing.T) {
	t.Parallel()
	type u = proxy.UpstreamStatus
	plain := upstreamText(func(*u) {})
	require.Regexp(t, `^a +usable +0 +0 +0 B +0 B +-\n  192\.0\.2\.1:443 +usable +0\n$`, plain, "an address that is the upstream's own is not written twice")

	for _, c := range []struct {
		says   string
		change func(*u)
	}{
		{`(?m)^a +usable +3 of 10 +7 +1\.5 kB +2\.0 MB +3m12s$`, func(s *u) { s.Active, s.MaxConns, s.Total, s.BytesUp, s.BytesDown, s.DNSAge = 3, 10, 7, 1500, 2e6, 192 }},
		{`(?m)^a +UNUSABLE `, func(s *u) { s.Usable, s.Failing = false, true }},
		{`(?m)^a +REFUSES `, func(s *u) { s.Admission = &proxy.AdmissionStatus{State: proxy.Refused} }},
		{`(?m)^a +usable `, func(s *u) { s.Admission = &proxy.AdmissionStatus{State: proxy.AdmissionUnknown} }},
		{`\na: REFUSES this instance's public address for 2h5m \(admission strict\): 403 Public access is disabled\n$`, func(s *u) {
			s.Admission = &proxy.AdmissionStatus{State: proxy.Refused, Mode: "strict", Detail: "403 Public access is disabled", Since: time.Now().Add(-125 * time.Minute)}
		}},
		{`\na: no check over HTTPS was answered yet \(admission start\)\n$`, func(s *u) {
			s.Admission = &proxy.AdmissionStatus{State: proxy.AdmissionUnknown, Mode: "start"}
		}},
		{`usable +0\na: warm connections: 4 of 4 ready\n$`, func(s *u) { s.Warm = &proxy.WarmStatus{Ready: 4, Wanted: 4} }},
		{`usable +0\na: 192\.0\.2\.1:443 usable, 1 failed\n$`, func(s *u) { s.Addresses[0].Failures = 1 }},
		{`ejected +0\na: 192\.0\.2\.1:443 ejected: by an operator\n$`, func(s *u) { s.Addresses[0].State, s.Addresses[0].Why = "ejected", "by an operator" }},
		{`\n  a\.example:443\n  192\.0\.2\.1:443 +usable +0\n$`, func(s *u) { s.Address = "a.example:443" }},
		{`\n  192\.0\.2\.1:443\n$`, func(s *u) { s.Addresses = nil }},
		{`usable +0\na: FAILING: refused\n$`, func(s *u) { s.Failing, s.Detail = true, "refused" }},
	} {
		require.Regexp(t, c.says, upstreamText(c.change))
	}
	require.Equal(t, plain, upstreamText(func(s *u) { s.Admission = &proxy.AdmissionStatus{State: proxy.Admitted, Mode: "strict"} }), "nothing while all is well")
}

func TestTheTextOfAStateWithoutTroubles(t *testing.T) {
	t.Parallel()
	s := well()
	got := text(s)
	require.True(t, strings.HasPrefix(got, "ready\n\n"), got)
	require.Contains(t, got, "connections 0 of any number, 0.0/s; up 0 B/s, down 0 B/s over 0 s\n", "no loop, no load")
	for _, none := range []string{"took over", "reload", "elastic", "lifecycle", "refused since"} {
		require.NotContains(t, got, none)
	}
	s.Conditions = []ConditionState{{"draining", false, "x"}, {"eip", false, "none is held"}}
	s.Draining = true
	require.True(t, strings.HasPrefix(text(s), "DRAINING, 0 connections open\n  eip: none is held\n\n"), "the first line says draining; a process that just began has no times yet")
}

// The text as a whole: where its lines stand, and what parts them.
func TestTheTextAsAWhole(t *testing.T) {
	t.Parallel()
	s := well()
	s.Build.Version, s.Build.Commit, s.PID, s.Uptime = "1.2.3", "abc", 77, 192
	s.Proxy.EngineReason, s.Proxy.Loops, s.Proxy.MaxConns = "auto", 2, 10
	s.Config.Fixed = []string{"loops"}
	s.Proxy.Listeners = []proxy.ListenerStatus{{Name: "in", Addr: netip.MustParseAddrPort("[::]:443"), Upstream: "a", Active: 1, Accepted: 3, Refused: 2, Open: true, Reasons: map[string]uint64{"limit_rate": 2}}}
	s.Proxy.Upstreams = []proxy.UpstreamStatus{{Name: "a", Address: "192.0.2.1:443", Usable: true, Active: 1, Total: 3,
		Addresses: []proxy.AddressStatus{{Addr: netip.MustParseAddrPort("192.0.2.1:443"), State: "usable", Active: 1}}}}
	require.Equal(t, `ready

l4fwd 1.2.3 (abc), pid 77, up 3m12s
engine uring, 2 loops (auto)
connections 0 of 10, 0.0/s; up 0 B/s, down 0 B/s over 0 s
new values that take an upgrade or a restart: loops

LISTENER  ADDRESS   SOURCE  UPSTREAM  ACTIVE  ACCEPTED  REFUSED
in        [::]:443  opened  a         1       3         2
in: refused since the start: limit_rate 2

UPSTREAM         STATE   ACTIVE  TOTAL  UP   DOWN  DNS AGE
a                usable  1       3      0 B  0 B   -
  192.0.2.1:443  usable  1
`, text(s))
}

// A backup that fails is no trouble while it is not needed.
func TestABackupThatFailsIsNoTrouble(t *testing.T) {
	t.Parallel()
	u := proxy.UpstreamStatus{Name: "a", Usable: true, Addresses: []proxy.AddressStatus{{State: "usable"}, {State: "check_failed", Why: "x", Backup: true}}}
	require.Empty(t, troubles(u))
	u.Addresses[0].Why = "y"
	require.Equal(t, []string{"a has trouble with 1 of 2 addresses"}, troubles(u))
}

// Columns that may be cut give way by turns, the widest first, and keep eight letters each.
func TestColumnsGiveWayByTurns(t *testing.T) {
	t.Parallel()
	of := func(first, second string, width int) []int {
		tab := table{shrink: []int{0, 1}}
		tab.row("A", "B", "FIXED")
		tab.row(first, second, strings.Repeat("x", 10))
		tab.row(strings.Repeat("a line of one cell", 9))
		return tab.widths(width)
	}
	twenty, twelve := strings.Repeat("a", 20), strings.Repeat("b", 12)
	require.Equal(t, []int{20, 12, 10}, of(twenty, twelve, 0))
	require.Equal(t, []int{20, 12, 10}, of(twenty, twelve, 46), "it fits")
	require.Equal(t, []int{19, 12, 10}, of(twenty, twelve, 45))
	require.Equal(t, []int{12, 12, 10}, of(twenty, twelve, 38))
	require.Equal(t, []int{11, 12, 10}, of(twenty, twelve, 37))
	require.Equal(t, []int{11, 11, 10}, of(twenty, twelve, 36))
	require.Equal(t, []int{8, 8, 10}, of(twenty, twelve, 30))
	require.Equal(t, []int{8, 8, 10}, of(twenty, twelve, 5), "no narrower")
	require.Equal(t, []int{8, 5, 10}, of(twenty, "short", 5))
}

func TestTheTextOfATakeOverAndAReload(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := well()
	s.Taken = &TakenState{At: at, PID: 41, Version: "1.1.0", Connections: 9000, Pause: 0.0251234}
	s.Config.Begun = at.Add(time.Hour)
	require.Contains(t, text(s), "\ntook over from pid 41 (1.1.0) at 2026-01-02T03:04:05Z: 9000 connections, which stood still for 25.12ms\n"+
		"a reload is under way since 2026-01-02T04:04:05Z\n")
}

func TestTheTextOfAnAddressThatIsHeld(t *testing.T) {
	t.Parallel()
	s := eip.Status{Wanted: true, Hold: &eip.Hold{Public: netip.MustParseAddr("198.51.100.1"), Allocation: "eipalloc-1", Since: time.Now().Add(-90 * time.Minute)}}
	require.Equal(t, "198.51.100.1 (eipalloc-1) for 1h30m", holdText(s), "not verified since")
	s.Wanted = false
	require.Equal(t, "198.51.100.1 (eipalloc-1) for 1h30m", holdText(s), "it is released at the end of a drain")
	for want, s := range map[string]lifecycle.Status{
		"InService":                      {State: "InService", Current: "InService"},
		"InService; group g":             {State: "InService", Current: "InService", Group: "g"},
		"Pending; hooks a, b":            {State: "Pending", Hooks: []string{"a", "b"}},
		"InService; FAILING: denied":     {State: "InService", Fault: "denied"},
		"x; now Pending on the way to y": {State: "x", Current: "Pending", Target: "y"},
	} {
		require.Equal(t, want, lifecycleText(s))
	}
}

// The boundaries of each unit: no figure shows four digits, or a unit that is full.
func TestTheBoundariesOfSizesAndAges(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[float64]string{
		1: "1 B", 999.4: "999 B", 999.5: "1.0 kB", 99_949: "99.9 kB", 99_950: "100 kB", 999_499: "999 kB", 999_500: "1.0 MB", 1e12: "1.0 TB", 999.6e12: "1000 TB",
	} {
		require.Equal(t, want, size(bytes), bytes)
	}
	for seconds, want := range map[float64]string{
		0: "0s", 9.9: "9.9s", 10.4: "10s", 59.6: "1m0s", 3599.4: "59m59s", 3599.6: "1h0m", 3600: "1h0m", 3659: "1h0m", 172_799: "47h59m", 172_800: "2d0h", 180_000: "2d2h",
	} {
		require.Equal(t, want, age(seconds), seconds)
	}
}

// The largest number comes first, and names settle what is equal.
func TestCountsAreSorted(t *testing.T) {
	t.Parallel()
	require.Equal(t, "b 9, a 2, c 2, d 1", counts(map[string]uint64{"d": 1, "c": 2, "a": 2, "b": 9}))
	require.Empty(t, counts(nil))
}
