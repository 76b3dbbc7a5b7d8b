package resolve

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func ports(list ...string) []netip.AddrPort {
	var as []netip.AddrPort
	for _, s := range list {
		as = append(as, netip.MustParseAddrPort(s))
	}
	return as
}

func TestResolvConf(t *testing.T) {
	t.Parallel()
	local := ports("127.0.0.1:53")
	for _, c := range []struct {
		name, text string
		want       config
	}{
		{"empty", "", config{servers: local, ndots: 1, attempts: 2}},
		{"usual", "# by dhcp\nnameserver 10.0.0.2\nnameserver fd00::2\nsearch ec2.internal Corp.Example.\noptions edns0 timeout:2 attempts:5 ndots:2 rotate\n",
			config{servers: ports("10.0.0.2:53", "[fd00::2]:53"), search: []string{"ec2.internal", "corp.example"}, ndots: 2, attempts: 5, timeout: 2 * time.Second, rotate: true}},
		{"zone", "nameserver fe80::1%eth0\n", config{servers: []netip.AddrPort{netip.AddrPortFrom(netip.MustParseAddr("fe80::1%eth0"), 53)}, ndots: 1, attempts: 2}},
		{"three servers", "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n",
			config{servers: ports("10.0.0.1:53", "10.0.0.2:53", "10.0.0.3:53"), ndots: 1, attempts: 2}},
		{"no server is one", "nameserver dns.test\nnameserver\nnameserver 10.0.0\n", config{servers: local, ndots: 1, attempts: 2}},
		{"comments", ";nameserver 10.0.0.1\n#nameserver 10.0.0.2\nnameserver 10.0.0.3 # ours\n", config{servers: ports("10.0.0.3:53"), ndots: 1, attempts: 2}},
		{"the last search wins", "search a.test\nsearch b.test . b.test bad..test\n", config{servers: local, search: []string{"b.test"}, ndots: 1, attempts: 2}},
		{"domain", "search a.test\ndomain b.test c.test\n", config{servers: local, search: []string{"b.test"}, ndots: 1, attempts: 2}},
		{"limits", "options ndots:99 timeout:99 attempts:99\n", config{servers: local, ndots: 15, attempts: 5, timeout: 30 * time.Second}},
		{"zeros", "options ndots:0 timeout:0 attempts:0\n", config{servers: local, ndots: 0, attempts: 1, timeout: time.Second}},
		{"nonsense", "options ndots:x timeout:-1 attempts: trust-ad single-request\noptions\nfoo bar\n\x00\xff\n", config{servers: local, ndots: 1, attempts: 2}},
		{"options add up", "options ndots:3\noptions use-vc\r\n", config{servers: local, ndots: 3, attempts: 2, tcp: true}},
		{"no newline, tabs", "nameserver\t10.0.0.1", config{servers: ports("10.0.0.1:53"), ndots: 1, attempts: 2}},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, *parseConf(c.text)) })
	}
}

// Where dns.ClientConfigFromReader is right, we must agree.
func TestResolvConfAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"nameserver 10.0.0.2\nsearch a.test b.test\noptions ndots:5 timeout:3 attempts:4\n",
		"nameserver 10.96.0.10\nsearch ns.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n",
		"; x\nnameserver fd00::1\nnameserver 10.0.0.1\ndomain corp.test\n",
		"options ndots:99 attempts:0\nnameserver 10.0.0.1\n",
	} {
		want, err := dns.ClientConfigFromReader(strings.NewReader(text))
		require.NoError(t, err)
		got := parseConf(text)
		var servers []string
		for _, s := range got.servers {
			servers = append(servers, s.Addr().String())
		}
		require.Equal(t, want.Servers, servers)
		require.ElementsMatch(t, want.Search, got.search)
		require.Equal(t, want.Ndots, got.ndots)
		require.Equal(t, want.Attempts, got.attempts)
		for _, name := range []string{"db", "db.prod", "a.b.c.d.e.f", "db.", "a.b.c.d.e"} {
			var list []string
			for _, c := range candidates(got, name) {
				list = append(list, c.fqdn)
			}
			require.Equal(t, want.NameList(name), list, text)
		}
	}
}

func TestTooLongCandidatesAreLeftOut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("abcdefg.", 31) + "abc" // 251 bytes
	list := candidates(&config{ndots: 99, search: []string{"xyz", "test"}}, long)
	require.Equal(t, []candidate{{fqdn: long + ".", asIs: true}}, list)
}

func FuzzResolvConf(f *testing.F) {
	f.Add("nameserver 10.0.0.2\nsearch a.test b.test\noptions ndots:5 timeout:3 attempts:4 rotate use-vc\n")
	f.Add("nameserver fe80::1%x\n;\n#\ndomain \x00.\noptions :\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := parseConf(text)
		if n := len(c.servers); n < 1 || n > maxServers {
			t.Fatalf("%d servers", n)
		}
		if c.ndots < 0 || c.ndots > maxNdots || c.attempts < 1 || c.attempts > maxAttempts || c.timeout < 0 || c.timeout > maxTimeout || len(c.search) > maxSearch {
			t.Fatalf("out of bounds: %+v", c)
		}
		for _, cand := range candidates(c, "db.prod") {
			if err := checkHostName(strings.TrimSuffix(cand.fqdn, ".")); err != nil {
				t.Fatalf("%q: %v", cand.fqdn, err)
			}
		}
	})
}

// confOf points a resolv.conf at test servers, which have no port 53: the parsed file
// is changed behind the resolver's back.
func confOf(t *testing.T, text string, servers ...*server) (*Resolver, lookups) {
	t.Helper()
	l := make(lookups, 100)
	o := Options{
		ResolvConf: filepath.Join(t.TempDir(), "resolv.conf"),
		Hosts:      filepath.Join(t.TempDir(), "none"), OnLookup: func(one Lookup) { l <- one },
	}
	write(t, o.ResolvConf, text)
	r := New(o)
	t.Cleanup(r.Close)
	c := r.conf.get()
	c.servers = asking(servers...).Servers
	return r, l
}

func (r *Resolver) mustWatch(t *testing.T, name string) *Name {
	t.Helper()
	n, err := r.Watch(name, nil)
	require.NoError(t, err)
	return n
}

func TestSearchList(t *testing.T) {
	t.Parallel()
	z := rrs(t, "db.b.test. 20 A 192.0.2.1", "x.y.a.test. 20 A 192.0.2.2", "x.y. 20 TXT x", "abs. 20 A 192.0.2.3")
	for _, c := range []struct {
		name, conf, ask string
		want            []string // the names asked for
		says            string
	}{
		{"nxdomain goes on", "search a.test b.test c.test", "db", []string{"db.a.test.", "db.b.test."}, ""},
		{"enough dots: as it is first", "search a.test", "x.y", []string{"x.y.", "x.y.a.test."}, ""},
		{"too few dots: as it is last", "search b.test\noptions ndots:2", "x.y", []string{"x.y.b.test.", "x.y."}, "the name has no A records"},
		{"trailing dot", "search b.test", "db.", []string{"db."}, "does not exist"},
		{"single label, nowhere else", "search a.test", "abs", []string{"abs.a.test.", "abs."}, ""},
		{"case", "search B.Test", "DB", []string{"db.b.test."}, ""},
		{"none", "", "db", []string{"db."}, "resolve db: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, z.answer)
			r, l := confOf(t, c.conf+"\n", s)
			r.mustWatch(t, c.ask)
			got := l.next(t)
			require.Equal(t, c.want, s.names())
			if c.says == "" {
				require.NoError(t, got.Err)
			} else {
				require.ErrorContains(t, got.Err, c.says)
			}
		})
	}
}

func TestSearchStopsAndGoesOnAfterFailures(t *testing.T) {
	t.Parallel()
	z := rrs(t, "db.b.test. 20 A 192.0.2.1", "x.y.b.test. 20 A 192.0.2.66")
	failing := func(how handler, names ...string) handler {
		return func(network string, q *dns.Msg) *dns.Msg {
			if slices.Contains(names, q.Question[0].Name) {
				return how(network, q)
			}
			return z.answer(network, q)
		}
	}
	servfail := rcode(dns.RcodeServerFailure)

	t.Run("SERVFAIL of a search domain gives way", func(t *testing.T) {
		r, l := confOf(t, "search a.test b.test\n", serve(t, failing(servfail, "db.a.test.")))
		r.mustWatch(t, "db")
		require.NoError(t, l.next(t).Err)
	})
	t.Run("silence does not", func(t *testing.T) {
		s := serve(t, failing(silent, "db.a.test."))
		r, l := confOf(t, "search a.test b.test\noptions timeout:1 attempts:1\n", s)
		r.mustWatch(t, "db")
		require.EqualError(t, l.next(t).Err, "resolve db: as db.a.test: "+s.addr.String()+": no answer within 1s")
	})
	t.Run("SERVFAIL of the full name does not", func(t *testing.T) {
		s := serve(t, failing(servfail, "x.y."))
		r, l := confOf(t, "search b.test\n", s)
		n := r.mustWatch(t, "x.y")
		require.Equal(t, ServFail, l.next(t).Result)
		require.Nil(t, n.Addrs())
		require.Zero(t, s.count("udp A x.y.b.test."))
	})
	t.Run("SERVFAIL of the one that was good does not", func(t *testing.T) {
		z = append(z, rrs(t, "db.c.test. 20 A 192.0.2.66")...)
		var sw switchable
		sw.set(z.answer)
		r, l := confOf(t, "search b.test c.test\n", serve(t, sw.answer))
		n := r.mustWatch(t, "db")
		l.next(t)
		sw.set(failing(servfail, "db.b.test."))
		n.Refresh()
		require.Equal(t, ServFail, l.next(t).Result)
		require.Equal(t, addrs("192.0.2.1"), n.Addrs())
	})
	t.Run("NXDOMAIN of the full name that was good does not", func(t *testing.T) {
		var sw switchable
		sw.set(rrs(t, "x.y. 20 A 192.0.2.1").answer)
		s := serve(t, sw.answer)
		r, l := confOf(t, "search b.test\n", s)
		n := r.mustWatch(t, "x.y")
		l.next(t)
		sw.set(z.answer) // the wildcard of b.test
		n.Refresh()
		require.Equal(t, NXDomain, l.next(t).Result)
		require.Equal(t, addrs("192.0.2.1"), n.Addrs())
	})
	t.Run("a failure tells more than a missing name", func(t *testing.T) {
		r, l := confOf(t, "search a.test\n", serve(t, failing(servfail, "zz.a.test.")))
		r.mustWatch(t, "zz")
		got := l.next(t)
		require.Equal(t, ServFail, got.Result)
		require.ErrorContains(t, got.Err, "resolve zz: as zz.a.test: ")
	})
}

func TestRotate(t *testing.T) {
	t.Parallel()
	z := rrs(t, www...)
	a, b := serve(t, z.answer), serve(t, z.answer)
	r, l := confOf(t, "options rotate\n", a, b)
	n := r.mustWatch(t, "www.test")
	require.Equal(t, a.addr, l.next(t).Server)
	n.Refresh()
	require.Equal(t, b.addr, l.next(t).Server)
	n.Refresh()
	require.Equal(t, a.addr, l.next(t).Server)
}

func TestResolvConfIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	r := New(Options{ResolvConf: path})
	defer r.Close()
	require.Equal(t, ports("127.0.0.1:53"), r.config().servers, "missing")
	require.Equal(t, 2*time.Second, r.config().timeout)

	write(t, path, "nameserver 10.0.0.1\noptions timeout:7\n")
	require.Equal(t, ports("10.0.0.1:53"), r.config().servers)
	require.Equal(t, 7*time.Second, r.config().timeout)
	require.Same(t, r.conf.get(), r.conf.get(), "not read while it is the same")

	write(t, path, "nameserver 10.0.0.2\noptions timeout:7\n") // same size, same second
	require.Equal(t, ports("10.0.0.2:53"), r.config().servers)

	write(t, path, "")
	require.Equal(t, ports("127.0.0.1:53"), r.config().servers, "empty")
}

func TestServersOfTheOptionsHideResolvConf(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	write(t, path, "nameserver 10.0.0.1\nsearch a.test\noptions timeout:7 rotate\n")
	r := New(Options{ResolvConf: path, Servers: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.9:0"), netip.MustParseAddrPort("10.0.0.9:5353")}})
	defer r.Close()
	require.Equal(t, config{servers: ports("10.0.0.9:53", "10.0.0.9:5353"), ndots: 1, attempts: 2, timeout: 2 * time.Second}, *r.config())
}
