package doctor

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/health/probe"
)

const modelName = "a.openai.azure.com"

// says fails unless a step is in a state and has a text in its fault, its meaning or its evidence.
func says(t *testing.T, s Step, state State, text string) {
	t.Helper()
	require.Equal(t, state, s.State, "%+v", s)
	require.Contains(t, strings.Join([]string{s.Fault, s.Meaning, s.Evidence, s.Because}, "\n"), text)
	require.Equal(t, state == Failed, s.Fault != "", "a failure has a place for the verdict, and nothing else has")
}

func TestWhatACertificateMeans(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	judged := func(host string, change func(*probe.Certificate)) Step {
		c := &probe.Certificate{Names: []string{host}, Subject: "CN=subject", Issuer: "O=X, CN=Public CA,C=US", NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(90 * day), Logged: true}
		change(c)
		s := Step{Kind: Certificate, Subject: "192.0.2.1:443", State: OK}
		judgeCertificate(&s, Target{Host: host, Port: 443}, probe.TLSResult{Version: "TLS 1.3", Certificate: c})
		return s
	}
	for _, c := range []struct {
		host   string
		change func(*probe.Certificate)
		state  State
		text   string
	}{
		{modelName, func(*probe.Certificate) {}, OK, "TLS 1.3; for a.openai.azure.com; issuer O=X, CN=Public CA,C=US; " + time.Now().Add(-day).UTC().Format(time.DateOnly) + " to "},
		{modelName, func(c *probe.Certificate) { c.NotAfter = time.Now().Add(14*day + time.Hour) }, OK, ""},
		{modelName, func(c *probe.Certificate) { c.NotAfter = time.Now().Add(14*day - time.Hour) }, Warning, "it expires in 13 days"},
		{modelName, func(c *probe.Certificate) { c.NotAfter = time.Now().Add(day + time.Hour) }, Warning, "it expires in 1 day\n"},
		{modelName, func(c *probe.Certificate) { c.Logged = false }, Failed, "TLS inspection on the way; Public CA signed the certificate anew"},
		{modelName, func(c *probe.Certificate) { c.Logged, c.Fault = false, probe.CertificateUnknownCA }, Failed, "TLS inspection on the way"},
		{modelName, func(c *probe.Certificate) { c.Fault = probe.CertificateUnknownCA }, Failed, "this machine does not know the authority Public CA"},
		{"a.example", func(c *probe.Certificate) { c.Logged, c.Fault = false, probe.CertificateUnknownCA }, Failed, "does not know the authority"},
		{"a.example", func(c *probe.Certificate) { c.Logged = false }, OK, ""},
		{"a.example", func(c *probe.Certificate) { c.Fault = probe.CertificateBad }, Failed, "the certificate; it is not valid"},
		{modelName, func(c *probe.Certificate) { c.Logged, c.Fault = false, probe.CertificateBad }, Failed, "the certificate; it is not valid"},
		{"a.example", func(c *probe.Certificate) { c.Fault = probe.CertificateNotYet }, Failed, "it is valid from "},
		{"192.0.2.1", func(c *probe.Certificate) { c.Fault = probe.CertificateOtherName }, Warning, "an address and not a name"},
		{"a.example", func(c *probe.Certificate) { c.Names, c.Fault = nil, probe.CertificateOtherName }, Failed, "it is for CN=subject, not for a.example"},
		{"a.example", func(c *probe.Certificate) {
			c.Names, c.Fault = []string{"1", "2", "3", "4", "5"}, probe.CertificateOtherName
		}, Failed, "it is for 1, 2, 3 and 2 more, not"},
		{"a.example", func(c *probe.Certificate) {
			c.Names, c.Fault = []string{"1", "2", "3"}, probe.CertificateOtherName
		}, Failed, "it is for 1, 2, 3, not"},
	} {
		says(t, judged(c.host, c.change), c.state, c.text)
	}
	require.Equal(t, "no common name", commonName("no common name"))
}

// A name lies below a domain of the service, whatever its case; one that only ends alike does not.
func TestWhichNamesAreAServices(t *testing.T) {
	t.Parallel()
	for host, want := range map[string][2]bool{ // a public service; one of Azure OpenAI
		"A.OPENAI.azure.com.": {true, true}, "x.services.ai.azure.com": {true, true}, "a.search.windows.net": {true, false}, "ec2.eu-west-1.amazonaws.com": {true, false},
		"azure.com": {false, false}, "evilazure.com": {false, false}, "a.azure.com.example": {false, false}, "": {false, false},
	} {
		require.Equal(t, want, [2]bool{publicService(host), modelService(host)}, host)
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	t.Parallel()
	model, other := Target{Host: modelName, Port: 443}, Target{Host: "a.example", Port: 443, Path: "/ready"}
	for _, c := range []struct {
		target Target
		status int
		body   string
		state  State
		text   string
	}{
		{model, 401, "", OK, "the firewall admits this address"},
		{model, 200, "", Warning, "something else may answer in its place"},
		{other, 200, "", OK, ""},
		{model, 299, "", Warning, "something else may answer"},
		{model, 300, "", Warning, "does not redirect"},
		{model, 399, "", Warning, "captive portal"},
		{other, 302, "", OK, ""},
		{model, 400, "", OK, ""},
		{model, 403, "Traffic is denied by the Perimeter", Failed, "the network security perimeter"},
		{model, 401, "perimeter", OK, "asks for a key"},
		{model, 403, "Out of call volume quota", Failed, "in words that are not the firewall's"},
		{other, 403, "", Warning, "takes a request with a token"},
		{other, 404, "", Warning, "does not know this path"},
		{Target{Host: "a.example"}, 404, "", OK, ""},
		{model, 429, "", Warning, "throttled"},
		{other, 499, "", OK, ""},
		{other, 500, "", Failed, "the service; it answers 500"},
		{other, 503, "", Failed, "it answers 503"},
	} {
		s := Step{Kind: HTTPS, State: OK, Subject: "192.0.2.1:443"}
		explainAnswer(&s, c.target, probe.HTTPResult{Status: c.status, Body: c.body, Header: http.Header{"Location": {"https://portal.example/"}}})
		says(t, s, c.state, c.text)
		if c.state != OK {
			require.Contains(t, strings.Join(s.Commands, "\n"), "curl -si --connect-to ::192.0.2.1:443 https://"+c.target.Host+c.target.path())
		}
	}
	require.Equal(t, "/openai/v1/models", model.path())
	require.Equal(t, "/x", Target{Host: modelName, Path: "/x"}.path())
	require.Equal(t, "/", Target{Host: "a.example"}.path())
	require.Equal(t, "/openai/v1/models", Target{Host: "192.0.2.1", ServerName: modelName}.path(), "what counts is the name that is asked for")
}

// The words of an answer are quoted on one line, but no more than tell something.
func TestTheMessageOfAnAnswer(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"error":{"code":"403","message": "No."}}`: "No.", `{"message":"a` + "\n\t\x7f" + `b"}`: "a   b", `{"error":"No."}`: "", `{"message":`: "",
		`{"message": "The model \"x\" is\nunknown.", "code": "y"}`: `The model "x" is unknown.`, `{"message":"cut sho`: "cut sho",
		`{"message":"` + strings.Repeat("é", 161) + `"}`: strings.Repeat("é", 160) + "…",
		`{"message":"` + strings.Repeat("x", 160) + `"}`: strings.Repeat("x", 160), `{"message":"` + strings.Repeat("x", 161) + `"}`: strings.Repeat("x", 160) + "…",
	} {
		require.Equal(t, want, message(body))
	}
}

// answeringAt is what was found out of an address that answers with the time of a clock.
func answeringAt(skew time.Duration) *addressFindings {
	now := time.Now().Truncate(time.Second).Add(time.Second / 2)
	return &addressFindings{answer: probe.HTTPResult{Answered: now, Header: http.Header{"Date": {now.Add(-skew).UTC().Format(http.TimeFormat)}}}}
}

// The smallest difference counts, as the clock of a server may be wrong, too.
func TestTheClockIsComparedWithServers(t *testing.T) {
	t.Parallel()
	findings := func(skews ...time.Duration) (all []targetFindings) {
		for i, s := range skews {
			all = append(all, targetFindings{target: Target{Host: string(rune('a' + i))}, addresses: []*addressFindings{answeringAt(s)}})
		}
		return all
	}
	says(t, clock(nil), Skipped, "no server answered with its time")
	says(t, clock([]targetFindings{{addresses: []*addressFindings{{}}}}), Skipped, "no server answered")
	says(t, clock(findings(0)), OK, "0s ahead, to within 500ms")
	says(t, clock(findings(4*time.Second)), OK, "4s ahead")
	says(t, clock(findings(5*time.Second)), Warning, "the clock is not synchronized")
	says(t, clock(findings(-59*time.Second)), Warning, "59s behind")
	says(t, clock(findings(-time.Minute)), Failed, "the clock of this machine; it is 1m0s behind")
	s := clock(findings(-time.Hour, 2*time.Second, -3*time.Second))
	says(t, s, OK, "2s ahead")
	require.Equal(t, "against b", s.Subject)
}

// at is an address as a resolver or a connection has it.
func at(addr string) netip.AddrPort { return netip.MustParseAddrPort(addr) }

// answered is what a resolver answers with.
func answered(server string, addrs ...string) lookup {
	l := lookup{server: at(server)}
	for _, a := range addrs {
		l.Records = append(l.Records, probe.DNSRecord{Addr: netip.MustParseAddr(a), TTL: time.Minute})
	}
	return l
}

// Nothing of a target that must not be reachable may answer: a refusal of this network is no answer, another protocol than TLS is one.
func TestWhatIsExpectedOfATarget(t *testing.T) {
	t.Parallel()
	seen := func(addr string, works bool, status int, refusal string) *addressFindings {
		return &addressFindings{found: found{addr: netip.MustParseAddr(addr)}, works: works, answer: probe.HTTPResult{Status: status, Refusal: refusal}}
	}
	isolated := Target{Host: "a.example", Port: 443, Expect: ExpectUnreachable}
	dead := Step{Kind: Connect, State: Failed, Fault: "x", Meaning: "y", Commands: []string{"z"}, Evidence: "connection refused"}
	for _, c := range []struct {
		with  []*addressFindings
		state State
		text  string
	}{
		{nil, OK, "not reachable from here, as expected: connection refused"},
		{[]*addressFindings{seen("192.0.2.1", false, 0, "")}, OK, "as expected"},
		{[]*addressFindings{seen("192.0.2.1", true, 403, "Firewall rules")}, OK, "as expected"},
		{[]*addressFindings{seen("192.0.2.1", true, 403, "Firewall rules"), seen("192.0.2.2", true, 401, "")}, Failed, "192.0.2.2 answers 401"},
		{[]*addressFindings{seen("192.0.2.1", true, 0, "")}, Failed, "192.0.2.1 answers, and speaks no TLS"},
	} {
		all := judgeExpectation(isolated, []Step{dead, {State: OK, Evidence: "fine"}, dead}, nil, c.with)
		require.Len(t, all, 4)
		says(t, all[3], c.state, c.text)
		if c.state == Failed {
			require.Equal(t, dead, all[0], "what failed stays a failure")
			continue
		}
		require.Equal(t, Step{Kind: Connect, State: OK, Evidence: "connection refused (expected)"}, all[0], "what failed is as it should be")
		require.Equal(t, "fine", all[1].Evidence)
	}

	expect := func(want Expect, aliases []probe.DNSAlias, addrs ...string) Step {
		l := answered("10.0.0.2:53", addrs...)
		l.Aliases = aliases
		var with []*addressFindings
		for _, a := range addrs {
			with = append(with, seen(a, true, 401, ""))
		}
		all := judgeExpectation(Target{Host: "a.example", Port: 443, Expect: want}, nil, []lookup{l}, with)
		return all[0]
	}
	link := []probe.DNSAlias{{Target: "a.example"}, {Target: "a.privatelink.openai.azure.com"}}
	says(t, expect(ExpectPrivate, nil), Skipped, "the step name failed")
	says(t, expect(ExpectPrivate, link, "10.0.0.4", "100.64.0.1"), OK, "every address is private, by the alias a.privatelink.openai.azure.com")
	says(t, expect(ExpectPublic, nil, "203.0.113.1"), OK, "every address is public")
	says(t, expect(ExpectPublic, nil, "203.0.113.1", "10.0.0.4"), Failed, "resolves to the private address 10.0.0.4, not to a public one")
	s := expect(ExpectPrivate, link, "10.0.0.4", "203.0.113.1")
	says(t, s, Failed, "is not linked to the zone privatelink.openai.azure.com")
	require.Contains(t, s.Commands[0], "--zone-name privatelink.openai.azure.com ")
	says(t, expect(ExpectPrivate, nil, "203.0.113.1"), Failed, "no privatelink alias on the way")
}

// Failures of single addresses are warnings where another one works, but only those of the way to it.
func TestOneWorkingAddressIsEnough(t *testing.T) {
	t.Parallel()
	all := func(works bool) []*addressFindings {
		return []*addressFindings{{works: works}, {steps: []Step{
			{Kind: Connect, State: Failed, Fault: "x", Meaning: "m"}, {Kind: Hello, State: OK}, {Kind: Certificate, State: Failed, Fault: "y"}}}}
	}
	none := all(false)
	soften(none)
	require.Equal(t, all(false), none)
	one := all(true)
	soften(one)
	require.Equal(t, []Step{
		{Kind: Connect, State: Warning, Meaning: "m; l4fwd uses the addresses that work"}, {Kind: Hello, State: OK}, {Kind: Certificate, State: Failed, Fault: "y"}}, one[1].steps)
}
