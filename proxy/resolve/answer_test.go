package resolve

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	for name, says := range map[string]string{
		"dais24-aoai-demo.openai.azure.com":      "",
		"db":                                     "",
		"_x.Test.":                               "",
		strings.Repeat("abcdefg.", 31) + "abcde": "",
		"":                                       "host name is empty",
		".":                                      "host name is empty",
		"a..b":                                   "empty label",
		strings.Repeat("a", 64) + ".test":        "more than 63 bytes",
		strings.Repeat("abcdefg.", 32):           "longer than 253 bytes",
		"münchen.test":                           "xn-- form",
		"a b.test":                               "no letter, digit",
		"www.test:443":                           "no letter, digit",
		"10.0.0.256":                             "neither an IP address nor a host name",
		"0.0.0.0":                                "nobody can be connected to",
		"ff02::1":                                "nobody can be connected to",
		"fe80::1":                                "nobody can be connected to",
	} {
		_, err := parseName(name)
		if says == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, says, name)
		}
	}
}

func TestResultsAreLabels(t *testing.T) {
	var labels []string
	for _, r := range Results() {
		labels = append(labels, r.String())
		text, err := r.MarshalText()
		require.NoError(t, err)
		require.Equal(t, r.String(), string(text))
	}
	require.Equal(t, []string{"ok", "nxdomain", "no_data", "timeout", "network", "truncated", "bad_answer", "refused", "servfail"}, labels)
	require.Equal(t, "unknown", Result(99).String())
}

func TestHostsFile(t *testing.T) {
	text := "127.0.0.1 localhost\n" +
		"# 10.0.0.9 www.test\n" +
		"10.0.0.1\twww.test  www # www2.test\n" +
		"  FD00::1 Www.Test.\n" +
		"10.0.0.1 www.test\n" +
		"10.0.0.300 www.test\n" +
		"www.test 10.0.0.3\n" +
		"0.0.0.0 ads.test\n" +
		"fe80::1%lo0 local.test\r\n" +
		"fe80::2 local.test\n" +
		"10.0.0.4"
	for name, want := range map[string][]netip.Addr{
		"www.test":   addrs("10.0.0.1", "fd00::1"),
		"WWW.test.":  addrs("10.0.0.1", "fd00::1"),
		"www":        addrs("10.0.0.1"),
		"ads.test":   {},
		"local.test": addrs("fe80::1%lo0"),
	} {
		got, found := parseHosts(text, name)
		require.True(t, found, name)
		require.Equal(t, want, got, name)
	}
	for _, name := range []string{"www2.test", "test", "10.0.0.3", "10.0.0.4"} {
		_, found := parseHosts(text, name)
		require.False(t, found, name)
	}
}

func TestHostsFileIsReadWhenItChanged(t *testing.T) {
	h := hostsFile{path: filepath.Join(t.TempDir(), "hosts"), key: "www.test"}
	_, found := h.get()
	require.False(t, found, "missing")
	write(t, h.path, "10.0.0.1 www.test")
	as, _ := h.get()
	require.Equal(t, addrs("10.0.0.1"), as)
	write(t, h.path, "10.0.0.2 www.test")
	as, _ = h.get()
	require.Equal(t, addrs("10.0.0.2"), as)
	require.NoError(t, os.Remove(h.path))
	_, found = h.get()
	require.False(t, found)
}

func FuzzHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost\n::1 www.test # x\n", "www.test")
	f.Add("fe80::1%a www.test\n\x00 \xff", "WWW.TEST.")
	f.Fuzz(func(t *testing.T, text, name string) {
		as, found := parseHosts(text, name)
		checkAddrs(t, as)
		if !found && len(as) > 0 {
			t.Fatal("addresses of a name that was not found")
		}
	})
}

func checkAddrs(t *testing.T, as []netip.Addr) {
	t.Helper()
	if len(as) > MaxAddrs {
		t.Fatalf("%d addresses", len(as))
	}
	for i, a := range as {
		if !usable(a) || a.Is4In6() || slices.Contains(as[:i], a) {
			t.Fatalf("unusable or double: %v in %v", a, as)
		}
	}
}

// FuzzAnswer is a hostile server: the same bytes answer each question of a chain.
func FuzzAnswer(f *testing.F) {
	q := question("c0.test.", dns.TypeA, true)
	q.Id = 0x1234
	for _, m := range []*dns.Msg{
		aliasChain(f, 8).answer("", q),
		aliasChain(f, 8).oneStep("", q),
		rrs(f, "c0.test. 1 A 0.0.0.0", "c0.test. 1 AAAA ::1", "c0.test. 9999999 A 192.0.2.1").answer("", q),
		rrs(f, "c0.test. 1 CNAME c0.test.").answer("", q),
		rrs(f, `c0.test. 1 CNAME \000\255\..test.`).answer("", q),
		rrs(f, "c0.test. 1 CNAME .").answer("", q),
		new(dns.Msg).SetRcode(q, dns.RcodeNameError),
	} {
		f.Add(packed(f, m, 0))
		f.Add(packed(f, m, 50))
	}
	var many zone
	for i := range 300 {
		many = append(many, rrs(f, fmt.Sprintf("c0.test. 1 A 10.0.%d.%d", i/200, i%200))...)
	}
	f.Add(packed(f, many.answer("", q), 0))

	f.Fuzz(func(t *testing.T, data []byte) {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			hostile(t, data, qtype)
		}
	})
}

func hostile(t *testing.T, data []byte, qtype uint16) {
	c := newChain("c0.test.", qtype)
	for step := 0; ; step++ {
		if step > maxAliases {
			t.Fatal("does not end")
		}
		q := question(c.at, qtype, true)
		q.Id = 0x1234
		if _, err := q.Pack(); err != nil {
			t.Fatalf("a server made us ask what cannot be asked: %q: %v", c.at, err)
		}
		m, err := parse(data, q)
		if err != nil {
			// The question is only right in the first step: follow the chain nevertheless.
			m = new(dns.Msg)
			if step == 0 || m.Unpack(data) != nil {
				return
			}
		}
		if _, err := judge(m); err != nil {
			return
		}
		result, more, err := c.read(m)
		checkAddrs(t, c.addrs)
		if len(c.seen) > maxAliases+1 || c.ttl > maxWireTTL {
			t.Fatalf("out of bounds: %d names, ttl %d", len(c.seen), c.ttl)
		}
		if more {
			continue
		}
		if (result == OK) != (err == nil) || (result == OK) != (len(c.addrs) > 0) {
			t.Fatalf("%v, %v, %v", result, err, c.addrs)
		}
		return
	}
}
