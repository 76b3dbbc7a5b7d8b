package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
	"github.com/l4fwd/l4fwd/health/probe"
)

// expiresSoon is from when the end of a certificate is worth a warning. Azure renews its own months before.
const expiresSoon = 14 * 24 * time.Hour

// judgeCertificate says whether clients will accept the certificate, and whether it is the server's own.
func judgeCertificate(s *Step, t Target, r probe.TLSResult) {
	c := r.Certificate
	s.Evidence = fmt.Sprintf("%s; for %s; issuer %s; %s to %s", r.Version, names(c), c.Issuer, c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly))
	show := fmt.Sprintf("openssl s_client -connect %s -servername %s </dev/null | openssl x509 -noout -subject -issuer -dates -ext subjectAltName", s.Subject, t.server())
	resigned := publicService(t.server()) && !c.Logged
	switch {
	case c.Fault == probe.CertificateExpired:
		s.fail(fmt.Sprintf("the certificate; it expired on %s", c.NotAfter.UTC().Format(time.DateOnly)),
			"the server did not renew it, the name leads to another server, or the clock of this machine is wrong", show, "date -u")
	case c.Fault == probe.CertificateNotYet:
		s.fail(fmt.Sprintf("the certificate; it is valid from %s on", c.NotBefore.UTC().Format(time.RFC3339)), "the clock of this machine is behind, or the certificate was issued in error", "date -u", show)
	case c.Fault == probe.CertificateOtherName && isAddress(t.server()):
		s.warn("the target is an address and not a name: clients have to ask for one of the certificate's names, and whether the certificate is good for that name was not tested",
			"l4fwd doctor --target NAME:443 --through "+s.Subject)
	case c.Fault == probe.CertificateOtherName:
		s.fail(fmt.Sprintf("the certificate; it is for %s, not for %s", names(c), t.server()), "the name leads to another server: a wrong DNS record, a captive portal, or a load balancer without this name", show)
	case c.Fault == probe.CertificateSelfSigned:
		s.fail("the certificate; it is self-signed", "nobody vouches for the server: it is a test server, or something in between answers in its place", show)
	case c.Fault == probe.CertificateUnknownCA && resigned, c.Fault == probe.CertificateValid && resigned:
		s.fail("TLS inspection on the way; "+commonName(c.Issuer)+" signed the certificate anew",
			"the certificate of a public service has proofs of Certificate Transparency, and this one has none: a proxy or firewall decrypts the traffic. Clients that do not "+
				"trust its authority fail, and it can read keys and prompts", show, "exempt "+t.server()+" from TLS inspection in the proxy or firewall")
	case c.Fault == probe.CertificateUnknownCA:
		s.fail("the certificate; this machine does not know the authority "+commonName(c.Issuer), "a private authority signed it, or the server sends no intermediate certificate",
			show, "for a private authority: SSL_CERT_FILE=/path/to/ca.pem l4fwd doctor …, or install it in the system's store")
	case c.Fault != probe.CertificateValid:
		s.fail("the certificate; it is not valid", "it breaks a rule for certificates of servers", show)
	case time.Until(c.NotAfter) < expiresSoon:
		s.warn("it expires in "+plain.Counted(int(time.Until(c.NotAfter).Hours()/24), "day"), show)
	}
}

// blameAuthorities finds the daemon that does not trust a certificate which this process does. A process reads the authorities of the
// machine once, so they changed since, and a command that shows the daemon's state mends nothing.
func blameAuthorities(daemon []Step, targets []targetFindings) {
	trusted := false
	for _, t := range targets {
		for _, a := range t.addresses {
			if c := a.tls.Certificate; c != nil && (c.Fault == probe.CertificateUnknownCA || c.Fault == probe.CertificateSelfSigned) {
				return
			} else if c != nil && c.Fault == probe.CertificateValid {
				trusted = true
			}
		}
	}
	for i := range daemon {
		if s := &daemon[i]; trusted && s.State == Failed && strings.Contains(s.Fault, "unknown authority") {
			s.fail(s.Fault, "this machine trusts the certificate, and the daemon does not: it read the authorities when it began, and they changed since. An upgrade reads them again and "+
				"loses no connection; a reload does not read them", upgradeCommand)
		}
	}
}

// names are the names of a certificate, the first few of them.
func names(c *probe.Certificate) string {
	const most = 3
	switch n := len(c.Names); {
	case n == 0:
		return c.Subject
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(c.Names[:most], ", "), n-most)
	}
	return strings.Join(c.Names, ", ")
}

// isAddress reports whether a host is an IP address.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// commonName is the common name in a distinguished name, else all of it.
func commonName(name string) string {
	for part := range strings.SplitSeq(name, ",") {
		if cn, ok := strings.CutPrefix(strings.TrimSpace(part), "CN="); ok {
			return cn
		}
	}
	return name
}

// Names of Azure's services. Their certificates come from public authorities.
var (
	modelSuffixes   = []string{".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com", ".openai.azure.us", ".cognitiveservices.azure.us", ".openai.azure.cn", ".cognitiveservices.azure.cn"}
	serviceSuffixes = []string{".azure.com", ".azure.us", ".azure.cn", ".windows.net", ".azure.net", ".amazonaws.com", ".microsoft.com"}
)

// modelService reports whether the name is one of Azure OpenAI's.
func modelService(host string) bool { return hasSuffix(host, modelSuffixes) }

// publicService reports whether the name is one of a service of Azure or AWS, whose certificates are public.
func publicService(host string) bool { return hasSuffix(host, serviceSuffixes) }

// hasSuffix reports whether the host lies below one of the domains, which begin with a dot.
func hasSuffix(host string, suffixes []string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(host, s) })
}
