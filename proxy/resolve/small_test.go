package resolve

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func TestSearchListsAreBounded(t *testing.T) {
	var domains []string
	for i := range maxSearch + 8 {
		domains = append(domains, fmt.Sprintf("d%d.test", i))
	}
	c := parseConf("search " + strings.Join(append(domains[:4:4], append([]string{"D1.test.", "..", "a b"}, domains[4:]...)...), " ") + "\n")
	require.Equal(t, domains[:3], c.search[:3])
	require.Len(t, c.search, maxSearch)
}

// The three systems spell the same option in three ways.
func TestEachWayToAskForTCP(t *testing.T) {
	for _, word := range []string{"use-vc", "usevc", "tcp"} {
		require.True(t, parseConf("options "+word+"\n").tcp, word)
	}
	require.False(t, parseConf("options udp\n").tcp)
}

// A hosts file that stays as it is is read once.
func TestHostsFileIsReadOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hosts")
	require.NoError(t, os.WriteFile(path, []byte("192.0.2.1 a.test\n"), 0o600))
	h := &hostsFile{path: path, key: "a.test"}
	for range 2 {
		got, found := h.get()
		require.True(t, found)
		require.Equal(t, addrs("192.0.2.1"), got)
	}
	require.True(t, h.known)
	require.True(t, h.stamp.same(stampOf(path)))
	h.addrs = addrs("192.0.2.9")
	got, _ := h.get()
	require.Equal(t, addrs("192.0.2.9"), got, "not read again")
	require.NoError(t, os.WriteFile(path, []byte("192.0.2.33 a.test\n"), 0o600))
	got, _ = h.get()
	require.Equal(t, addrs("192.0.2.33"), got)
	require.NoError(t, os.Remove(path))
	_, found := h.get()
	require.False(t, found)
}

func TestHostNamesAtTheirLimits(t *testing.T) {
	long := strings.Repeat("a", maxLabelLen)
	for name, fault := range map[string]string{
		long + ".test":                    "",
		long + "a.test":                   "more than 63 bytes",
		"a..test":                         "empty label",
		"b\x80cher.test":                  "not ASCII",
		"b\x7fcher.test":                  "no letter, digit",
		"a_b-c.test":                      "",
		"a.123":                           "only digits",
		"":                                "is empty",
		strings.Repeat("a.", 126) + "a":   "",
		strings.Repeat("a.", 126) + "ab":  "longer than 253 bytes",
		strings.Repeat("a.", 126) + "a..": "longer than 253 bytes",
	} {
		err := checkHostName(name)
		if fault == "" {
			require.NoError(t, err, "%q", name)
			continue
		}
		require.ErrorContains(t, err, fault, "%q", name)
	}
}

// A server that is authoritative, or recurses, or has anything to say of the name itself, does not send us elsewhere.
func TestWhatIsAReferral(t *testing.T) {
	ns, err := dns.NewRR("test. 60 IN NS ns.test.")
	require.NoError(t, err)
	soa, err := dns.NewRR("test. 60 IN SOA ns.test. h.test. 1 1 1 1 60")
	require.NoError(t, err)
	a, err := dns.NewRR("www.test. 60 IN A 192.0.2.1")
	require.NoError(t, err)
	for name, c := range map[string]struct {
		change func(*dns.Msg)
		want   bool
	}{
		"servers only":  {func(*dns.Msg) {}, true},
		"authoritative": {func(m *dns.Msg) { m.Authoritative = true }, false},
		"recurses":      {func(m *dns.Msg) { m.RecursionAvailable = true }, false},
		"an answer":     {func(m *dns.Msg) { m.Answer = []dns.RR{a} }, false},
		"SOA":           {func(m *dns.Msg) { m.Ns = append(m.Ns, soa) }, false},
		"nothing":       {func(m *dns.Msg) { m.Ns = nil }, false},
	} {
		m := &dns.Msg{Ns: []dns.RR{ns}}
		c.change(m)
		require.Equal(t, c.want, referral(m), name)
	}
}

// Response codes that nobody knows have their number, and those that are known their name.
func TestOddResponseCodesAreNamed(t *testing.T) {
	for code, want := range map[int]string{
		dns.RcodeServerFailure: "server failure (SERVFAIL)", dns.RcodeRefused: "refuses to answer (REFUSED)",
		dns.RcodeNotImplemented: "answers with NOTIMP", 3841: "answers with code 3841",
	} {
		_, err := judge(&dns.Msg{MsgHdr: dns.MsgHdr{Rcode: code}})
		require.EqualError(t, err, want)
	}
	for code, want := range map[int]Result{dns.RcodeNameError: NXDomain, dns.RcodeSuccess: OK} {
		got, err := judge(&dns.Msg{MsgHdr: dns.MsgHdr{Rcode: code}})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

// With half an answer the other half is asked for within 30 s, or MinTTL if that is longer.
func TestHalfAnAnswerIsAskedForAgainSoon(t *testing.T) {
	half := outcome{ttl: time.Hour, partial: errors.New("type AAAA: no answer")}
	for minTTL, want := range map[time.Duration]time.Duration{0: 30 * time.Second, time.Minute: time.Minute} {
		r := New(Options{MinTTL: minTTL, MaxTTL: 2 * time.Hour})
		r.random = func() float64 { return 0 }
		require.Equal(t, want, r.next(half, 0, true))
		half.ttl = 10 * time.Second
		require.Equal(t, max(10*time.Second, minTTL), r.next(half, 0, true))
		half.ttl = time.Hour
		r.Close()
	}
}

// Of several failures of a server the last counts, but the first of several alike; the most telling one is the result.
func TestFailuresAreNotedByServer(t *testing.T) {
	one, two := netip.MustParseAddrPort("10.0.0.1:53"), netip.MustParseAddrPort("10.0.0.2:53")
	extended, plain := errors.New("server failure (SERVFAIL, DNSSEC Bogus)"), errors.New("server failure (SERVFAIL)")
	var fs failures
	fs = fs.note(failure{one, Timeout, errors.New("no answer within 2s")})
	fs = fs.note(failure{two, ServFail, extended})
	fs = fs.note(failure{one, Refused, errors.New("refuses to answer (REFUSED)")})
	fs = fs.note(failure{two, ServFail, plain})
	require.Len(t, fs, 2)
	require.Equal(t, ServFail, fs.result())
	require.EqualError(t, fs, "10.0.0.1:53: refuses to answer (REFUSED); 10.0.0.2:53: server failure (SERVFAIL, DNSSEC Bogus)")
	require.ErrorIs(t, fs, extended)
	require.NotErrorIs(t, fs, plain)
	require.Equal(t, Timeout, failures(nil).result())
	for want, words := range map[string][]string{"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}} {
		require.Equal(t, want, and(words))
	}
}

// Two families without an answer are one result: what an operator must see first, with the server that said it.
func TestTwoFamiliesBecomeOneResult(t *testing.T) {
	one, two := netip.MustParseAddrPort("10.0.0.1:53"), netip.MustParseAddrPort("10.0.0.2:53")
	none := func(s netip.AddrPort, kind string, ttl time.Duration) family {
		return family{result: NoData, err: errors.New("the name has no " + kind + " records"), server: s, ttl: ttl}
	}
	broken := family{result: Timeout, err: errors.New("no answer")}
	good := family{result: OK, addrs: addrs("192.0.2.1"), server: one, ttl: time.Minute}
	for name, c := range map[string]struct {
		v4, v6  family
		result  Result
		err     string
		partial string
		ttl     time.Duration
	}{
		"both":                {good, family{result: OK, ttl: time.Second}, OK, "", "", time.Second},
		"A only":              {good, none(one, "AAAA", 0), OK, "", "", time.Minute},
		"A, AAAA failed":      {good, broken, OK, "", "type AAAA: no answer", time.Minute},
		"AAAA, A failed":      {broken, good, OK, "", "type A: no answer", time.Minute},
		"neither, one server": {none(one, "A", 3), none(one, "AAAA", 2), NoData, "10.0.0.1:53: the name has no A records; the name has no AAAA records", "", 2},
		"neither, two":        {none(one, "A", 2), none(two, "AAAA", 3), NoData, "10.0.0.1:53: the name has no A records; 10.0.0.2:53: the name has no AAAA records", "", 2},
		"no A, AAAA failed":   {none(one, "A", 2), broken, Timeout, "type AAAA: no answer", "", 0},
		"A failed":            {broken, none(one, "AAAA", 2), Timeout, "no answer", "", 0},
	} {
		o := outcome{v4: c.v4, v6: c.v6}
		o.combine()
		require.Equal(t, c.result, o.result, name)
		require.Equal(t, c.ttl, o.ttl, name)
		require.Equal(t, c.err, errText(o.err), name)
		require.Equal(t, c.partial, errText(o.partial), name)
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A second watch takes over the answer of the first, which goes on.
func TestInheritingLeavesTheFirstAlone(t *testing.T) {
	r := New(Options{Hosts: filepath.Join(t.TempDir(), "none")})
	defer r.Close()
	a, b := newName(r, "a.test", func([]netip.Addr) {}), newName(r, "a.test", func([]netip.Addr) {})
	a.good.v4 = addrs("192.0.2.1")
	b.inherit(a)
	require.Equal(t, a.good.v4, b.good.v4)
	require.Equal(t, "a.test", a.Stats().Name, "nobody waits")
	for range 3 {
		b.Refresh()
	}
	require.Len(t, b.refresh, 1, "several calls count as one")
	a.cancel()
	b.cancel()
}

func TestWatchRefusesNamesThatAreNone(t *testing.T) {
	r := New(Options{})
	defer r.Close()
	for _, name := range []string{"", "a b.test", "0.0.0.0", "a.123"} {
		_, err := r.Watch(name, nil)
		require.ErrorContains(t, err, fmt.Sprintf("watch %q: ", name))
	}
}

// A file that is written in place, with as many bytes, is another version by its time.
func TestAFileOfTheSameSizeIsAnotherVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(path, []byte("nameserver 10.0.0.1\n"), 0o600))
	first := stampOf(path)
	require.True(t, first.same(stampOf(path)))
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)))
	require.False(t, first.same(stampOf(path)))
	require.NoError(t, os.Remove(path))
	require.False(t, first.same(stampOf(path)))
	require.True(t, stampOf(path).same(stamp{}))
}
