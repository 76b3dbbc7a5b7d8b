package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// failure says why a server gave no usable answer.
type failure struct {
	server netip.AddrPort
	result Result
	err    error
}

// failures says why none of the servers did: one for each, in the order of asking.
type failures []failure

// Error groups servers that failed for the same reason:
// "10.0.0.2:53 and 10.0.0.3:53: no answer within 2s; 10.0.0.4:53: server failure (SERVFAIL)".
func (fs failures) Error() string {
	var reasons []string
	servers := make(map[string][]string)
	for _, f := range fs {
		why := f.err.Error()
		if servers[why] == nil {
			reasons = append(reasons, why)
		}
		servers[why] = append(servers[why], f.server.String())
	}
	for i, why := range reasons {
		reasons[i] = and(servers[why]) + ": " + why
	}
	return strings.Join(reasons, "; ")
}

func (fs failures) Unwrap() []error {
	errs := make([]error, len(fs))
	for i, f := range fs {
		errs[i] = f.err
	}
	return errs
}

// result is the most telling one, see Result.
func (fs failures) result() Result {
	worst := Timeout
	for _, f := range fs {
		worst = max(worst, f.result)
	}
	return worst
}

// note keeps the last failure of each server. Of several with the same result it keeps
// the first, because only the round with EDNS0 gets an extended reason.
func (fs failures) note(f failure) failures {
	for i := range fs {
		if fs[i].server == f.server {
			if fs[i].result != f.result {
				fs[i] = f
			}
			return fs
		}
	}
	return append(fs, f)
}

// and joins words as in a sentence: "a, b and c".
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// ask puts one question to the servers in turn, beginning with the first'th, until
// one answers NOERROR or NXDOMAIN. It returns the answer and the server's index, or
// failures, or what ended ctx.
func (r *Resolver) ask(ctx context.Context, c *config, first int, fqdn string, qtype uint16) (*dns.Msg, int, error) {
	var fs failures
	for round := range c.attempts {
		for i := range c.servers {
			at := (first + i) % len(c.servers)
			// Some paths silently drop EDNS0. The second round asks without it, so a long
			// answer takes TCP.
			m, f := r.askServer(ctx, c, c.servers[at], fqdn, qtype, round == 0)
			if f == nil {
				return m, at, nil
			}
			if ctx.Err() != nil {
				return nil, 0, context.Cause(ctx)
			}
			fs = fs.note(*f)
		}
	}
	return nil, 0, fs
}

// askServer puts one question to one server, once more without EDNS0 if it cannot do
// that, and once more over TCP if the answer did not fit.
func (r *Resolver) askServer(ctx context.Context, c *config, server netip.AddrPort, fqdn string, qtype uint16, edns bool) (*dns.Msg, *failure) {
	network := "udp"
	if c.tcp {
		network = "tcp"
	}
	m, f := r.send(ctx, c.timeout, network, server, question(fqdn, qtype, edns))
	if f == nil && edns && ednsRefused(m) {
		edns = false
		m, f = r.send(ctx, c.timeout, network, server, question(fqdn, qtype, edns))
	}
	if network == "udp" && cutShort(m, f) {
		m, f = r.send(ctx, c.timeout, "tcp", server, question(fqdn, qtype, edns))
		if f != nil {
			f.result = Truncated
			f.err = fmt.Errorf("answer does not fit into UDP, and over TCP: %w", f.err)
		}
	}
	if f != nil {
		return nil, f
	}
	if result, err := judge(m); err != nil {
		return nil, &failure{server, result, err}
	}
	return m, nil
}

// cutShort reports whether a UDP answer lacks something: the TC bit says so, or it
// cannot be unpacked, as servers cut in the middle of a record.
func cutShort(m *dns.Msg, f *failure) bool {
	if f != nil {
		return errors.Is(f.err, errUnreadable)
	}
	return m.Truncated
}

// send does one exchange within timeout.
func (r *Resolver) send(ctx context.Context, timeout time.Duration, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, *failure) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	m, err := r.exchange(ctx, network, server, q)
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, errUnreadable), errors.Is(err, errForeign):
		return nil, &failure{server, BadAnswer, err}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, &failure{server, Timeout, fmt.Errorf("no answer within %v", timeout)}
	}
	return nil, &failure{server, Network, plain(err)}
}

// judge returns a nil error if an answer says something about the name. An error says
// something only about the server, and the next one is asked.
func judge(m *dns.Msg) (Result, error) {
	switch m.Rcode {
	case dns.RcodeNameError:
		return NXDomain, nil
	case dns.RcodeSuccess:
		if referral(m) {
			return BadAnswer, errors.New("refers to other servers instead of asking them (no recursion)")
		}
		return OK, nil
	case dns.RcodeServerFailure:
		return ServFail, fmt.Errorf("server failure (SERVFAIL%s)", extended(m))
	case dns.RcodeRefused:
		return Refused, fmt.Errorf("refuses to answer (REFUSED%s)", extended(m))
	}
	code, known := dns.RcodeToString[m.Rcode]
	if !known {
		code = fmt.Sprintf("code %d", m.Rcode)
	}
	return BadAnswer, fmt.Errorf("answers with %s%s", code, extended(m))
}

// referral reports whether a server that does not recurse names other servers instead
// of an answer.
func referral(m *dns.Msg) bool {
	if m.Authoritative || m.RecursionAvailable || len(m.Answer) > 0 {
		return false
	}
	ns := false
	for _, rr := range m.Ns {
		switch rr.(type) {
		case *dns.SOA:
			return false
		case *dns.NS:
			ns = true
		}
	}
	return ns
}

// extended returns the reason a server gave beside the code (RFC 8914), as
// ", DNSSEC Bogus", or "". Its free text is left out: the log must not have foreign bytes.
func extended(m *dns.Msg) string {
	opt := m.IsEdns0()
	if opt == nil {
		return ""
	}
	for _, o := range opt.Option {
		if ede, ok := o.(*dns.EDNS0_EDE); ok {
			if why, known := dns.ExtendedErrorCodeToString[ede.InfoCode]; known {
				return ", " + why
			}
		}
	}
	return ""
}
