package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/health/probe"
)

// addressFindings are what was found out about one address of a target.
type addressFindings struct {
	found
	steps  []Step
	tls    probe.TLSResult
	answer probe.HTTPResult // Status 0: there is none
	works  bool             // a request was answered, or the server there speaks another protocol than TLS
}

// testAddress connects, and makes everything that goes over a connection. label is the target in the report.
func (x *examination) testAddress(ctx context.Context, label string, t Target, f found) *addressFindings {
	out := &addressFindings{found: f}
	addr := netip.AddrPortFrom(f.addr, t.Port)
	s := Step{Target: label, Subject: addr.String()}
	connect := measure(ctx, connectTime, s.as(Connect), func(ctx context.Context, s *Step) { x.connect(ctx, addr, s) })
	if connect.State == Failed {
		out.steps = append(out.steps, connect)
		for _, k := range []Kind{Hello, HelloPieces, Certificate, HTTPS} {
			out.steps = append(out.steps, skip(s.as(k), failedStep(Connect)))
		}
		return out
	}
	out.steps = append([]Step{connect}, out.testTLS(ctx, probe.TLSRequest{Addr: addr, ServerName: t.server(), First: t.First}, t, s)...)
	return out
}

// testTLS makes the handshakes, and sends a request. The hello in pieces goes beside the other steps, and is given up where no handshake
// can be made.
func (f *addressFindings) testTLS(ctx context.Context, r probe.TLSRequest, t Target, s Step) []Step {
	ctx, giveUp := context.WithCancel(ctx)
	var pieces Step
	var wg sync.WaitGroup
	wg.Go(func() {
		try := func(ctx context.Context, s *Step) { helloInPieces(ctx, r, s) }
		if pieces = measure(ctx, helloTime, s.as(HelloPieces), try); pieces.State == Failed { // one lost packet proves nothing
			pieces = measure(ctx, againTime, s.as(HelloPieces), try)
		}
	})
	defer wg.Wait()
	defer giveUp()
	hello := measure(ctx, helloTime, s.as(Hello), func(ctx context.Context, s *Step) { f.tls = helloWhole(ctx, r, t, s) })
	if f.tls.Certificate == nil {
		because := "the server speaks no TLS"
		if f.works = hello.State != Failed; !f.works {
			because = failedStep(Hello)
		}
		return []Step{hello, skip(s.as(HelloPieces), because), skip(s.as(Certificate), because), skip(s.as(HTTPS), because)}
	}
	certificate := s.as(Certificate)
	certificate.State = OK
	judgeCertificate(&certificate, t, f.tls)
	if hello.State == Failed { // after the certificate: then pieces say nothing about hellos in two segments
		return []Step{hello, skip(s.as(HelloPieces), failedStep(Hello)), certificate, skip(s.as(HTTPS), failedStep(Hello))}
	}
	https := measure(ctx, answerTime, s.as(HTTPS), func(ctx context.Context, s *Step) { f.ask(ctx, r, t, s) })
	wg.Wait()
	return []Step{hello, pieces, certificate, https}
}

// as is the step with a kind.
func (s Step) as(k Kind) Step {
	s.Kind = k
	return s
}

// slowAnswer is from when a handshake, or an answer to a request without a key, is worth a warning. Both take milliseconds beside the
// round trips, of which the farthest regions need a quarter of a second each.
const slowAnswer = 2 * time.Second

// slowConnect is what a connect takes that lost its first packet: the kernel sends the next after a second.
const slowConnect = time.Second

// connect makes a TCP connection and explains why there is none.
func (x *examination) connect(ctx context.Context, addr netip.AddrPort, s *Step) {
	r, err := probe.TCP(ctx, addr)
	s.Took = milliseconds(r.Took)
	if errors.Is(err, syscall.ECONNRESET) { // not ECONNREFUSED: the connection was made. Why it was cut, the step hello finds out
		s.Evidence = "connected, and was reset at once"
		return
	}
	if err == nil {
		s.Evidence = fmt.Sprintf("connected from %s", r.Local.Addr())
		if r.Took > slowConnect {
			s.warn("the first packet was lost or the far end is overloaded: the kernel sends a lost one again after 1 s", "nstat -az TcpRetransSegs TcpExtTCPSynRetrans")
		}
		return
	}
	s.Evidence = brief(err, "connect: ")
	show := fmt.Sprintf("curl -skv -m 4 https://%s    # it says whether it connected; TLS may fail", addr)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		s.fail(fmt.Sprintf("TCP; %s refuses connections", addr), "the host is there, and nothing listens on that port, or a firewall answers with a reset", show)
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		s.fail(fmt.Sprintf("the route; %s cannot be reached", addr), "this machine, or a router, has no way there: the subnet has no route to an internet gateway, or IPv6 is not set up",
			"ip route get "+addr.Addr().String())
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		s.fail(fmt.Sprintf("this machine's firewall; it forbids connections to %s", addr), "a rule of the host refuses the connection before it leaves", "nft list ruleset")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		s.fail("local ports; none is free for "+addr.String(), "all local ports to this address are in use", "sysctl net.ipv4.ip_local_port_range; ss -s")
	default:
		s.fail(fmt.Sprintf("TCP; %s does not answer", addr), "packets are dropped on the way: a security group or network ACL without egress to port "+fmt.Sprint(addr.Port())+
			", an instance without a public address, a missing route, or a firewall", show, "ip route get "+addr.Addr().String())
	}
}

// helloWhole makes a handshake whose hello fits into one segment. The certificate is judged apart.
func helloWhole(ctx context.Context, r probe.TLSRequest, t Target, s *Step) probe.TLSResult {
	r.Hello, r.Unverified = probe.HelloWhole, true
	out, err := probe.TLS(ctx, r)
	s.Took = milliseconds(out.Took)
	if err == nil {
		s.Evidence = fmt.Sprintf("%s, %s", out.Version, out.Cipher)
		if out.Took > slowAnswer {
			s.warn("the handshake is slow: the far end is overloaded or far away, packets are lost, or something on the way inspects the connection", "nstat -az TcpRetransSegs")
		}
		return out
	}
	s.Evidence = brief(err, "tls handshake with "+r.ServerName+": ")
	show := fmt.Sprintf("openssl s_client -connect %s -servername %s </dev/null", r.Addr, r.ServerName)
	switch {
	case strings.Contains(err.Error(), "does not look like a TLS handshake"):
		if t.Port != 443 {
			s.warn("what listens there speaks no TLS: l4fwd forwards it all the same, and nothing more can be tested")
			return out
		}
		s.fail(fmt.Sprintf("TLS; %s speaks another protocol", r.Addr), "a proxy or a captive portal answers in the place of the server", show)
	case strings.Contains(err.Error(), "no answer"):
		s.fail(fmt.Sprintf("TLS; %s accepts the connection and never answers the ClientHello", r.Addr),
			"a firewall drops the hello for the name in it, something in between accepts connections for a server that is down, or a PROXY header is missing", show)
	case cut(err) && t.through:
		s.fail(fmt.Sprintf("what forwards at %s; it cuts the connection at the ClientHello", r.Addr),
			hint(t.Hint)+"l4fwd there reaches no address of its upstream, or refuses this client or the name; its access log has the reason. A load balancer cuts connections if no target is healthy",
			statusCommand, "l4fwd doctor --target "+net.JoinHostPort(r.ServerName, "443")+"    # the same, not through l4fwd", show)
	case cut(err):
		s.fail(fmt.Sprintf("TLS; the connection to %s is cut at the ClientHello", r.Addr),
			"a firewall does not allow the name in the hello, the server does not know it, or a PROXY header is missing or unexpected", show)
	default:
		s.fail(fmt.Sprintf("TLS; the handshake with %s fails", r.Addr), "the server and this machine agree on no version or cipher, or something in between changes the handshake", show)
	}
	return out
}

// hint is the likeliest cause, before the others.
func hint(cause string) string {
	if cause == "" {
		return ""
	}
	return cause + ". Else "
}

// cut reports whether the other side ended the connection.
func cut(err error) bool {
	return slices.ContainsFunc([]string{"reset", "EOF", "broken pipe"}, func(s string) bool { return strings.Contains(err.Error(), s) })
}

// helloInPieces makes a handshake whose hello comes in two segments.
func helloInPieces(ctx context.Context, r probe.TLSRequest, s *Step) {
	r.Hello, r.Unverified = probe.HelloInPieces, true
	out, err := probe.TLS(ctx, r)
	s.Took = milliseconds(out.Took)
	if err == nil {
		s.Evidence = "a ClientHello in two segments passes"
		return
	}
	s.Evidence = brief(err, "tls handshake with "+r.ServerName+": ")
	s.fail("a firewall on the way; it cuts ClientHellos that come in two segments",
		"a hello in one segment passes. Clients with post-quantum key exchange (Go, Chrome, OpenSSL 3.5) send two and fail; others work",
		"in the firewall: exempt this destination from the inspection of TLS and of server names, or allow it by address",
		"until then, in clients written in Go: GODEBUG=tlsmlkem=0")
}

// soften makes the failures of single addresses warnings where another address of the target works: the daemon uses that one.
func soften(all []*addressFindings) {
	if !slices.ContainsFunc(all, func(f *addressFindings) bool { return f.works }) {
		return
	}
	for _, f := range all {
		for i := range f.steps {
			if s := &f.steps[i]; s.State == Failed && (s.Kind == Connect || s.Kind == Hello) {
				s.State, s.Fault = Warning, ""
				s.Meaning += "; l4fwd uses the addresses that work"
			}
		}
	}
}
