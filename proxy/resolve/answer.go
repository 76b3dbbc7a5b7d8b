package resolve

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	// MaxAddrs bounds the addresses of a name. If there are more, the lowest are kept. The
	// first ones would change with each lookup, since servers rotate their answers.
	MaxAddrs = 64

	// maxAliases is how many CNAMEs are followed. Azure OpenAI has 7 or 8, and recursive
	// servers themselves give up at 8 to 16.
	maxAliases = 16

	// maxWireTTL is the largest TTL; a larger one counts as 0 (RFC 2181 8).
	maxWireTTL = 1<<31 - 1
)

// chain follows the aliases of a name to its addresses, through one answer or
// several. It reads what a server sent and trusts nothing of it: an address counts
// only if its owner is on the way from the name.
type chain struct {
	qtype uint16
	seen  []string // keys of the names on the way, the asked one first
	ttls  []uint32 // of the aliases, in seconds: one for each name of seen but the last
	at    string   // absolute name the chain stands at, as the server wrote it
	ttl   uint32   // seconds, the smallest on the way; of a negative answer its own (RFC 2308)
	last  uint32   // seconds, that of the addresses
	soa   bool     // the negative answer came with an SOA
	addrs []netip.Addr
}

// newChain returns the chain that begins at an absolute name.
func newChain(fqdn string, qtype uint16) *chain {
	return &chain{qtype: qtype, at: fqdn, seen: []string{key(fqdn)}, ttl: maxWireTTL}
}

// aliases returns the number of CNAMEs followed.
func (c *chain) aliases() int { return len(c.seen) - 1 }

// read takes an answer to the question for c.at, with response code NOERROR or
// NXDOMAIN. If more is true the answer ended in an alias, and the next question is
// for c.at; this ends, since each such answer is one alias further. Otherwise the
// result is OK, NXDomain, NoData or BadAnswer; err is nil only with OK.
func (c *chain) read(m *dns.Msg) (result Result, more bool, err error) {
	answers := indexAnswers(m.Answer, c.qtype)
	moved := false
	for {
		here := answers[key(c.at)]
		if m.Rcode == dns.RcodeSuccess && len(here.addrs) > 0 {
			return c.take(here)
		}
		if here.alias == nil {
			break
		}
		if err := c.follow(here.alias); err != nil {
			return BadAnswer, false, err
		}
		moved = true
	}
	covered := c.negative(m)
	if m.Rcode == dns.RcodeNameError {
		return NXDomain, false, fmt.Errorf("%s does not exist (NXDOMAIN)", c.where())
	}
	// An alias whose target has no record in the answer is no data if the server says so
	// with the SOA of the target's zone (RFC 2308 2.2). Otherwise the server did not
	// follow the alias.
	if moved && !covered {
		return OK, true, nil
	}
	return NoData, false, fmt.Errorf("%s has no %s records", c.where(), dns.TypeToString[c.qtype])
}

// take ends the chain with the addresses found.
func (c *chain) take(r owned) (Result, bool, error) {
	c.ttl, c.last = min(c.ttl, r.ttl), r.ttl
	if c.addrs = tidy(r.addrs, MaxAddrs); len(c.addrs) == 0 {
		c.ttl = 0
		return NoData, false, fmt.Errorf("%s has only unusable addresses, such as %s", c.where(), r.addrs[0])
	}
	return OK, false, nil
}

// follow goes on to the target of an alias. The error says why the chain is faulty.
func (c *chain) follow(alias *dns.CNAME) error {
	next := key(alias.Target)
	if next == "" {
		return fmt.Errorf("alias chain ends at the root")
	}
	if slices.Contains(c.seen, next) {
		return fmt.Errorf("alias chain comes back to %s", next)
	}
	if c.aliases() == maxAliases {
		return fmt.Errorf("alias chain has more than %d names", maxAliases)
	}
	c.seen = append(c.seen, next)
	c.at = dns.Fqdn(alias.Target)
	c.ttls = append(c.ttls, wireTTL(alias.Hdr.Ttl))
	c.ttl = min(c.ttl, wireTTL(alias.Hdr.Ttl))
	return nil
}

// negative takes the TTL of a negative answer, the smaller one of the SOA's TTL and
// minimum (RFC 2308 5), and reports whether there is an SOA for where the chain stands.
func (c *chain) negative(m *dns.Msg) bool {
	for _, rr := range m.Ns {
		soa, ok := rr.(*dns.SOA)
		if ok && soa.Hdr.Class == dns.ClassINET && dns.IsSubDomain(soa.Hdr.Name, c.at) {
			c.ttl, c.soa = min(wireTTL(soa.Hdr.Ttl), wireTTL(soa.Minttl)), true
			return true
		}
	}
	return false
}

// negativeTTL returns how long a negative answer holds, or def if the server did not say.
func (c *chain) negativeTTL(def time.Duration) time.Duration {
	if !c.soa {
		return def
	}
	return time.Duration(c.ttl) * time.Second
}

// where names the end of the chain for messages: "the name", or the alias target.
func (c *chain) where() string {
	if c.aliases() == 0 {
		return "the name"
	}
	return "its alias " + key(c.at)
}

// owned is what an answer has for one owner name.
type owned struct {
	alias *dns.CNAME // the first, if there are several (not allowed by RFC 1034 3.6.2)
	addrs []netip.Addr
	ttl   uint32 // seconds, the smallest of the addresses
}

// indexAnswers sorts the records of an answer by the key of their owner. Of other classes
// and types only aliases are kept.
func indexAnswers(rrs []dns.RR, qtype uint16) map[string]owned {
	index := make(map[string]owned, 8)
	for _, rr := range rrs {
		h := rr.Header()
		if h.Class != dns.ClassINET {
			continue
		}
		o, known := index[key(h.Name)]
		if !known {
			o.ttl = maxWireTTL
		}
		if cname, ok := rr.(*dns.CNAME); ok {
			if o.alias == nil {
				o.alias = cname
			}
		} else if a := address(rr, qtype); a.IsValid() {
			o.addrs = append(o.addrs, a)
			o.ttl = min(o.ttl, wireTTL(h.Ttl))
		}
		index[key(h.Name)] = o
	}
	return index
}

// address returns the address of an A or AAAA record of the asked type, else the
// zero Addr. An IPv4 address mapped into IPv6 is returned as IPv4.
func address(rr dns.RR, qtype uint16) netip.Addr {
	var a netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		if qtype == dns.TypeA {
			a, _ = netip.AddrFromSlice(rr.A.To4())
		}
	case *dns.AAAA:
		if qtype == dns.TypeAAAA {
			a, _ = netip.AddrFromSlice(rr.AAAA.To16())
		}
	}
	return a.Unmap()
}

// wireTTL returns a TTL in seconds, 0 for one that is too large to be valid.
func wireTTL(ttl uint32) uint32 {
	if ttl > maxWireTTL {
		return 0
	}
	return ttl
}

// usable reports whether a TCP connection to the address is possible at all.
// Link-local IPv6 needs a zone, which DNS cannot give.
func usable(a netip.Addr) bool {
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return false
	case a.Is6() && a.IsLinkLocalUnicast():
		return a.Zone() != ""
	}
	return true
}

// tidy returns the usable addresses in the given order and without doubles; if there
// are more than limit, the lowest ones. The result is the caller's, addrs is not changed.
func tidy(addrs []netip.Addr, limit int) []netip.Addr {
	kept := make([]netip.Addr, 0, min(len(addrs), limit))
	seen := make(map[netip.Addr]struct{}, len(addrs))
	for _, a := range addrs {
		if _, double := seen[a]; !double && usable(a) {
			seen[a] = struct{}{}
			kept = append(kept, a)
		}
	}
	if len(kept) <= limit {
		return kept
	}
	sorted := slices.SortedFunc(slices.Values(kept), netip.Addr.Compare)
	return slices.DeleteFunc(kept, func(a netip.Addr) bool { return a.Compare(sorted[limit-1]) > 0 })
}
