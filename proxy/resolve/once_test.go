package resolve

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// A diagnosis shows every alias with its TTL, as one server answers, and which server it was.
func TestAskShowsTheWholeWay(t *testing.T) {
	one := serve(t, rrs(t, "a.test. 541 IN CNAME b.test.", "b.test. 60 IN CNAME c.test.", "c.test. 9 IN A 192.0.2.7", "c.test. 9 IN A 192.0.2.8", "c.test. 30 IN AAAA 2001:db8::7").answer)
	other := serve(t, rrs(t, "a.test. 60 IN A 10.0.0.7").answer)
	o := Options{Hosts: filepath.Join(t.TempDir(), "none"), ResolvConf: filepath.Join(t.TempDir(), "none")}
	a := Ask(t.Context(), o, one.addr, "A.test")
	require.NoError(t, a.Err)
	require.Equal(t, OK, a.Result)
	require.Equal(t, []Alias{{"a.test", "b.test", 541 * time.Second}, {"b.test", "c.test", 60 * time.Second}}, a.Aliases)
	require.Equal(t, "a.test", a.Asked)
	var got []string
	for _, r := range a.Records {
		got = append(got, r.Addr.String()+" "+r.TTL.String())
	}
	require.ElementsMatch(t, []string{"192.0.2.7 9s", "192.0.2.8 9s", "2001:db8::7 30s"}, got)
	require.Zero(t, other.count(""), "the other server was not asked")

	a = Ask(t.Context(), o, other.addr, "a.test")
	require.Equal(t, "10.0.0.7", a.Records[0].Addr.String())
	require.Empty(t, a.Aliases)
	a = Ask(t.Context(), o, one.addr, "gone.test")
	require.Equal(t, NXDomain, a.Result)
	require.ErrorContains(t, a.Err, "does not exist (NXDOMAIN)")
}

// What the daemon does with a name, a diagnosis does: the hosts file first, then the search list.
func TestAskHeedsHostsFileAndSearchList(t *testing.T) {
	dir := t.TempDir()
	o := Options{Hosts: filepath.Join(dir, "hosts"), ResolvConf: filepath.Join(dir, "resolv.conf")}
	write(t, o.Hosts, "192.0.2.9 fixed.test\n")
	write(t, o.ResolvConf, "nameserver 192.0.2.53\nsearch corp.test\n")
	s := serve(t, rrs(t, "short.corp.test. 60 IN A 192.0.2.7").answer)
	a := Ask(t.Context(), o, s.addr, "fixed.test")
	require.True(t, a.Hosts)
	require.Equal(t, "192.0.2.9", a.Records[0].Addr.String())
	require.Zero(t, s.count(""))
	a = Ask(t.Context(), o, s.addr, "short")
	require.NoError(t, a.Err)
	require.Equal(t, "short.corp.test", a.Asked)
	require.Equal(t, "192.0.2.53:53", SystemServers(o)[0].String())

	a = Ask(t.Context(), o, s.addr, "192.0.2.5")
	require.Equal(t, "192.0.2.5", a.Records[0].Addr.String())
	require.Error(t, Ask(t.Context(), o, s.addr, "a..b").Err)
	a = Ask(t.Context(), o, s.addr, "localhost")
	require.True(t, a.Hosts)
}

// A text that is no name is not asked for.
func TestAskRefusesWhatIsNoName(t *testing.T) {
	s := serve(t, rcode(dns.RcodeSuccess))
	a := Ask(t.Context(), Options{Hosts: filepath.Join(t.TempDir(), "none")}, s.addr, "a b.test")
	require.Equal(t, NoData, a.Result)
	require.Error(t, a.Err)
	require.Empty(t, a.Records)
	require.Empty(t, s.names())
}
