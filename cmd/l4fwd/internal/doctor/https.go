package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/l4fwd/l4fwd/health/probe"
)

// modelsPath is what Azure OpenAI answers with 401 to a request without a key.
const modelsPath = "/openai/v1/models"

// path is what to ask a target for.
func (t Target) path() string {
	switch {
	case t.Path != "":
		return t.Path
	case modelService(t.server()):
		return modelsPath
	}
	return "/"
}

// ask sends a request without a key and says what the answer means. A certificate that is not valid has its own step, and does
// not keep the answer from being looked at.
func (f *addressFindings) ask(ctx context.Context, tls probe.TLSRequest, t Target, s *Step) {
	tls.Unverified = true
	r, err := probe.HTTPS(ctx, probe.HTTPRequest{TLSRequest: tls, Path: t.path()})
	f.answer = r
	s.Took = milliseconds(r.Took)
	if r.Status == 0 {
		s.Evidence = brief(err, "GET "+t.path()+": ")
		if r.TLS.Version == "" {
			s.Evidence = brief(err, "tls handshake with "+tls.ServerName+": ")
			s.fail("a firewall on the way; it cuts handshakes of usual size", "a small ClientHello passes, one with post-quantum key exchange does not: see the step hello pieces")
			return
		}
		s.fail("HTTPS; "+t.String()+" does not answer a request", "TLS works and the server is silent: it is overloaded, or something in between passes only handshakes",
			show(s, t, "-sv -m 10"))
		return
	}
	f.works = true
	s.Evidence = fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status))
	if text := message(r.Body); text != "" && r.Status >= 300 && r.Status != http.StatusUnauthorized {
		s.Evidence += fmt.Sprintf(" %q", text)
	}
	if err != nil {
		s.Evidence += ": " + brief(err, "GET "+t.path()+": ")
		s.fail("HTTPS; "+t.String()+" begins an answer and does not end it", "the server hangs, or something in between passes the first bytes only", show(s, t, "-sv -m 10"))
		return
	}
	explainAnswer(s, t, r)
	if s.State == OK && r.FirstByte > slowAnswer {
		s.warn("the answer is slow although it takes no model: the service, or what is on the way, is overloaded", show(s, t, "-si"))
	}
}

// show is a command that makes the same request.
func show(s *Step, t Target, flags string) string {
	return fmt.Sprintf("curl %s --connect-to ::%s https://%s%s", flags, s.Subject, t.server(), t.path())
}

// message is what an answer says in its error, on one line.
func message(body string) string {
	_, rest, ok := strings.Cut(body, `"message":`)
	if !ok {
		return ""
	}
	var text string
	if json.NewDecoder(strings.NewReader(rest)).Decode(&text) != nil { // it is cut short, or no JSON
		_, text, _ = strings.Cut(rest, `"`)
		text, _, _ = strings.Cut(text, `"`)
	}
	const most = 160 // characters
	if letters := []rune(text); len(letters) > most {
		text = string(letters[:most]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// explainAnswer says what an answer to a request without a key means. Refusals of an address are completed by nameRefusals,
// which knows the address.
func explainAnswer(s *Step, t Target, r probe.HTTPResult) {
	show := show(s, t, "-si")
	perimeter := strings.Contains(strings.ToLower(r.Body), "perimeter")
	switch {
	case r.Status == http.StatusUnauthorized:
		s.Evidence += ": the firewall admits this address, and the service asks for a key"
	case r.Status == http.StatusForbidden && perimeter:
		s.fail("the network security perimeter of the resource; it denies the request",
			"the resource is in a network security perimeter in enforced mode, and no inbound access rule has this address or subscription",
			"az network perimeter profile access-rule create --perimeter-name PERIMETER --profile-name PROFILE --resource-group RG --name l4fwd --address-prefixes '[ADDRESS/32]'", show)
	case r.Refusal != "":
		s.fail("Azure firewall; it refuses this machine's address", "") // see nameRefusals
	case r.Status == http.StatusForbidden && modelService(t.server()):
		s.fail("the service; it denies a request without a key in words that are not the firewall's",
			"possible causes: a network security perimeter, a quota (Out of call volume quota), disabled keys, a policy in front of the resource", show)
	case r.Status == http.StatusForbidden:
		s.warn("the service denies a request without a key; whether its firewall admits this address takes a request with a token", show)
	case r.Status == http.StatusNotFound && t.path() != "/":
		s.warn("the address is admitted, and the server does not know this path: check the name of the resource, or check.path", show)
	case r.Status == http.StatusTooManyRequests:
		s.warn("the address is admitted, and requests are throttled: wait, or raise the quota of the deployment", show)
	case r.Status >= 500:
		s.fail(fmt.Sprintf("the service; it answers %d", r.Status), "the path works and the far end fails: look at the status page of the service, https://azure.status.microsoft", show)
	case r.Status >= 300 && r.Status < 400 && modelService(t.server()):
		s.warn("Azure OpenAI does not redirect: a proxy or a captive portal may answer in its place (Location: "+r.Header.Get("Location")+")", show)
	case r.Status < 300 && modelService(t.server()):
		s.warn("Azure OpenAI answers 401 to a request without a key: something else may answer in its place", show)
	}
}

// disabled reports whether a refusal says that the resource has no public access at all.
func disabled(r probe.HTTPResult) bool {
	return strings.Contains(r.Refusal, "Public access is disabled")
}
