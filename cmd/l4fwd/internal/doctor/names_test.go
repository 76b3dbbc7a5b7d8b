package doctor

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/health/probe"
)

// failedLookup is a lookup that ended with a result.
func failedLookup(server, result string) lookup {
	return lookup{server: at(server), DNSResult: probe.DNSResult{Result: result}, err: errors.New(result)}
}

func TestWhatAFailedLookupMeans(t *testing.T) {
	t.Parallel()
	for result, text := range map[string]string{
		"nxdomain": "DNS; a.example does not exist", "no_data": "DNS; a.example has no address", "timeout": "the resolver 10.0.0.2:5353 does not answer",
		"network": "the resolver 10.0.0.2:5353 cannot be reached", "refused": "refuses to answer", "servfail": "the resolver 10.0.0.2:5353 fails (servfail)",
	} {
		var s Step
		explainLookup(&s, Target{Host: "a.example", Port: 443}, at("10.0.0.2:5353"), probe.DNSResult{Result: result})
		says(t, s, Failed, text)
		require.Equal(t, "dig @10.0.0.2 -p 5353 a.example", s.Commands[0])
	}
	require.Equal(t, "dig @2001:db8::2 a.example", digAt(at("[2001:db8::2]:53"), "a.example"))
}

func TestHowALookupIsDescribed(t *testing.T) {
	t.Parallel()
	r := answered("10.0.0.2:53", "192.0.2.1", "2001:db8::1", "10.0.0.1", "127.0.0.1", "169.254.1.1", "100.127.255.255", "100.128.0.0").DNSResult
	r.Aliases = []probe.DNSAlias{{Target: "b.example", TTL: 300 * time.Second}}
	require.Equal(t, "CNAME b.example (300 s) → A 192.0.2.1 (60 s, public), AAAA 2001:db8::1 (60 s, public), A 10.0.0.1 (60 s, private), A 127.0.0.1 (60 s, local), "+
		"A 169.254.1.1 (60 s, local), A 100.127.255.255 (60 s, private), A 100.128.0.0 (60 s, public)", describeLookup(r))
}

// A resolver that is silent is a warning while another one answers, if only that there is no such name.
func TestTheSilenceOfOneResolver(t *testing.T) {
	t.Parallel()
	steps := func() []Step {
		return []Step{{State: Failed, Fault: "x", Meaning: "m"}, {State: Failed, Fault: "y", Meaning: "n"}}
	}
	both := steps()
	forgive(both, []lookup{failedLookup("10.0.0.2:53", "timeout"), failedLookup("10.0.0.3:53", "refused")})
	require.Equal(t, steps(), both)
	one := steps()
	forgive(one, []lookup{failedLookup("10.0.0.2:53", "timeout"), failedLookup("10.0.0.3:53", "nxdomain")})
	require.Equal(t, []Step{{State: Warning, Meaning: "m; l4fwd asks the next resolver, so a lookup takes longer"}, steps()[1]}, one)
}

func TestResolversAreCompared(t *testing.T) {
	t.Parallel()
	target := Target{Host: "a.example", Port: 443}
	private, public := answered("10.0.0.2:53", "10.1.0.1"), answered("10.0.0.3:53", "192.0.2.1")
	missing, silent := failedLookup("10.0.0.4:53", "no_data"), failedLookup("10.0.0.5:53", "timeout")
	for _, c := range []struct {
		all   []lookup
		state State
		text  string
	}{
		{[]lookup{private, silent}, Skipped, "1 of 2 resolvers answer"},
		{[]lookup{silent, public, answered("10.0.0.6:53", "192.0.2.9")}, OK, "2 resolvers answer alike"},
		{[]lookup{missing, failedLookup("10.0.0.6:53", "nxdomain")}, OK, "2 resolvers answer alike"},
		{[]lookup{private, missing}, Failed, "the resolvers disagree: 10.0.0.4:53 does not know a.example"},
		{[]lookup{missing, private}, Failed, "10.0.0.2:53 has addresses, 10.0.0.4:53 says no_data"},
		{[]lookup{private, public}, Failed, "the resolvers disagree about a.example: private from 10.0.0.2:53, public from 10.0.0.3:53"},
		{[]lookup{public, answered("10.0.0.6:53", "192.0.2.1", "10.1.0.1")}, Failed, "public from 10.0.0.3:53, private and public from 10.0.0.6:53"},
		{[]lookup{answered("10.0.0.2:53", "10.1.0.1", "192.0.2.1"), answered("10.0.0.3:53", "192.0.2.2", "192.0.2.1", "10.1.0.9")}, OK, "alike"},
	} {
		says(t, compare(target, c.all), c.state, c.text)
	}
}

// An address is tested once, whoever answers with it, and no more than 16 of a target.
func TestAddressesAreGatheredOnce(t *testing.T) {
	t.Parallel()
	list := gather([]lookup{answered("10.0.0.2:53", "192.0.2.1", "192.0.2.2"), answered("10.0.0.3:53", "192.0.2.2", "192.0.2.3")})
	require.Equal(t, []found{
		{netip.MustParseAddr("192.0.2.1"), []netip.AddrPort{at("10.0.0.2:53")}},
		{netip.MustParseAddr("192.0.2.2"), []netip.AddrPort{at("10.0.0.2:53"), at("10.0.0.3:53")}},
		{netip.MustParseAddr("192.0.2.3"), []netip.AddrPort{at("10.0.0.3:53")}},
	}, list)
	var many []string
	for i := range 20 {
		many = append(many, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String())
	}
	require.Len(t, gather([]lookup{answered("10.0.0.2:53", many...)}), 16)
}

// The resolver is to blame whose addresses do not serve the name while another one's do; nobody is if none does, or if the resolvers
// were not compared.
func TestTheResolverThatLies(t *testing.T) {
	t.Parallel()
	right, wrong := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.66")
	all := []lookup{answered("10.0.0.2:53", "192.0.2.1"), answered("10.0.0.3:53", "192.0.2.66"), failedLookup("10.0.0.4:53", "timeout")}
	blamed := func(steps []Step, good, bad addressFindings) Step {
		good.found, bad.found = found{right, []netip.AddrPort{at("10.0.0.2:53")}}, found{wrong, []netip.AddrPort{at("10.0.0.3:53")}}
		blameResolver(Target{Host: "a.example"}, steps, all, []*addressFindings{&good, &bad})
		return steps[len(steps)-1]
	}
	compared := func() []Step { return []Step{{Kind: Name, State: OK}, {Kind: Resolvers, State: OK}} }
	works := addressFindings{works: true}
	inspected := addressFindings{works: true, tls: probe.TLSResult{Certificate: &probe.Certificate{Fault: probe.CertificateOtherName}}}
	says(t, blamed(compared(), works, addressFindings{}), Failed, "the resolver 10.0.0.3:53 answers with a wrong address for a.example: 192.0.2.66")
	says(t, blamed(compared(), works, inspected), Failed, "the resolver 10.0.0.3:53 answers with a wrong address")
	says(t, blamed(compared(), works, works), OK, "")
	valid := addressFindings{works: true, tls: probe.TLSResult{Certificate: &probe.Certificate{}}}
	says(t, blamed(compared(), valid, valid), OK, "")
	says(t, blamed(compared(), addressFindings{}, addressFindings{}), OK, "")
	says(t, blamed([]Step{{Kind: Name, State: OK}}, works, addressFindings{}), OK, "")
	says(t, blamed([]Step{{Kind: Resolvers, State: Skipped, Because: "x"}}, works, addressFindings{}), Skipped, "x")
}

// A target is asked for by its own name, whatever its connections go through.
func TestATargetBehindAForwarder(t *testing.T) {
	t.Parallel()
	target := Target{Host: modelName, Port: 443}
	require.Equal(t, target, target.by(target))
	via := target.by(Target{Host: "10.0.0.9", Port: 8443, First: []byte("PROXY"), Hint: "h"})
	require.Equal(t, Target{Host: "10.0.0.9", Port: 8443, ServerName: modelName, Path: "/openai/v1/models", First: []byte("PROXY"), Hint: "h", through: true}, via)
	require.Equal(t, "a.example", Target{Host: "192.0.2.1", ServerName: "a.example."}.server())
	require.Equal(t, [3]string{"a.example:443", "192.0.2.1:80", "[2001:db8::1]:443"},
		[3]string{Target{Host: "a.example", Port: 443}.String(), Target{Host: "192.0.2.1", Port: 80}.String(), Target{Host: "2001:db8::1", Port: 443}.String()})
}

func TestWhichHostsAreThisMachine(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{"localhost": true, "127.0.0.9": true, "::1": true, "192.0.2.200": false, "a.example": false, "": false} {
		require.Equal(t, want, OfThisMachine(host), host)
	}
}
