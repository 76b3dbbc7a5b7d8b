package admin

import (
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/proxy"
)

// status was up to 130 columns wide, which a terminal of 80 folds into a text that nobody can read.
func TestTheTextFits80Columns(t *testing.T) {
	s := newFake().state
	s.Config.Faults = []string{"/etc/l4fwd/" + strings.Repeat("very-", 30) + "long.yaml:3: loops: wrong"}
	s.Config.Fixed = []string{"engine", "loops", "dns.servers", "dns.timeout", "health.address", "admin.address", "eip.pool", "eip.required"}
	s.Instance = &instance.Identity{Instance: "i-0123456789abcdef0", Interface: "eni-0123456789abcdef0", Region: "eu-central-1"}
	s.Proxy.Listeners[0].Name = "from-databricks-serverless-in-eu-central-1-of-the-data-platform-team"
	s.Proxy.Listeners[0].Addr = netip.MustParseAddrPort("[2001:db8:1111:2222:3333:4444:5555:6666]:8443")
	s.Proxy.Listeners[0].Upstream = "openai-of-the-data-platform-team-in-sweden-central"
	u := &s.Proxy.Upstreams[0]
	u.Name, u.Address, u.Active, u.MaxConns, u.Total = s.Proxy.Listeners[0].Upstream, "dais24-aoai-demo.openai.azure.com:443", 12345, 20000, 123456789
	u.Addresses = append(u.Addresses, proxy.AddressStatus{Addr: netip.MustParseAddrPort("[2603:1030:20e:3:aaaa:bbbb:cccc:dddd]:443"), State: "ejected", Why: "5 attempts failed in a row"})
	s.Proxy.Upstreams[1].Address = strings.Repeat("label.", 40) + "example:443"

	var b strings.Builder
	WriteText(&b, s, 80)
	for line := range strings.Lines(b.String()) {
		require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimSuffix(line, "\n")), 80, line)
		require.Equal(t, strings.TrimRight(line, " \n")+"\n", line)
	}
	require.Contains(t, b.String(), "\n  dais24-aoai-demo.openai.azure.com:443\n", "where an upstream leads is not cut")
	require.Regexp(t, `(?m)^openai-\S+…\S+central +usable +12345 of 20000 +123456789 `, b.String())
	require.Regexp(t, `(?m)^  \[2603:\S*…\S*\]:443 +ejected`, b.String())
	require.Regexp(t, `(?m)^from-\S+…\S+team +`, b.String())
	require.Equal(t, text(s), wrap(text(s), 1<<20), "nothing is lost where there is room")
}

func TestLongTextsAreBrokenAndLongWordsCut(t *testing.T) {
	require.Equal(t, "short\n", wrap("short\n", 10))
	require.Equal(t, "one two\n  three\n  four\n", wrap("one two three four\n", 10))
	require.Equal(t, "  one two\n    three\n", wrap("  one two three\n", 10))
	require.Equal(t, "abcd…hij k\n", wrap("abcdefghij k\n", 10))
	for width, want := range map[int]string{0: "abcdef", 1: "…", 2: "a…", 3: "a…f", 4: "ab…f", 5: "ab…ef", 6: "abcdef", 7: "abcdef"} {
		require.Equal(t, want, cutMiddle("abcdef", width))
	}
	require.Equal(t, "  a…f", cutMiddle("  abcdef", 5))
	require.Equal(t, "é…ö", cutMiddle("éäüö", 3))
}
