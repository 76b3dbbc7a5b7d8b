package resolve

import (
	"net/netip"
	"time"
)

// Result says how a lookup ended: a closed list, and the label `result` of the
// metric dns_lookups_total. The order matters if the servers of one lookup failed for
// different reasons: the highest is reported, so that the answer of one server
// outranks the silence of another.
type Result uint8

// The results. Those from Timeout on are failures: nothing was learned about the
// name. NXDomain and NoData are answers, though none that has an address.
const (
	OK        Result = iota
	NXDomain         // the name does not exist
	NoData           // the name exists and has no usable address
	Timeout          // no server answered in time
	Network          // a server could not be reached: refused, unreachable, closed
	Truncated        // the answer did not fit into UDP, and asking over TCP failed
	BadAnswer        // unreadable or contradictory, a referral, an alias loop, an odd response code
	Refused          // REFUSED
	ServFail         // SERVFAIL

	numResults = int(ServFail) + 1
)

var resultNames = [numResults]string{
	"ok", "nxdomain", "no_data", "timeout", "network", "truncated", "bad_answer", "refused", "servfail",
}

// Results returns all results, so that a metric can be made with each label at zero.
func Results() []Result {
	all := make([]Result, numResults)
	for i := range all {
		all[i] = Result(i)
	}
	return all
}

// String returns the label.
func (r Result) String() string {
	if int(r) >= numResults {
		return "unknown"
	}
	return resultNames[r]
}

// MarshalText makes the label the value (and the map key) in JSON.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// failed reports whether nothing was learned about the name.
func (r Result) failed() bool { return r >= Timeout }

// negative reports whether the answer is that there is no address.
func (r Result) negative() bool { return r == NXDomain || r == NoData }

// Lookup describes one lookup of a name. It belongs to the receiver, except Addrs,
// which is shared: read it only.
type Lookup struct {
	Name   string // as given to Watch
	Result Result
	Err    error // nil with OK; reads "resolve NAME: why"

	// Partial is why one family (A or AAAA) failed while the other answered; its last
	// good addresses stay. Only with OK.
	Partial error

	Addrs          []netip.Addr   // in use after the lookup; after a failure those of the last good answer
	TTL            time.Duration  // how long the answer is good for, within MinTTL and MaxTTL; 0 unless OK
	Took           time.Duration  // from the first question to the last answer
	Next           time.Duration  // until the next lookup, unless Refresh asks for an earlier one
	Server         netip.AddrPort // that answered; not valid if none did, or if the hosts file knew
	Changed        bool           // the set of addresses is another than before
	Added, Removed []netip.Addr   // the difference; empty unless Changed
}

// Stats is a summary of a name at one moment.
type Stats struct {
	Name       string
	Literal    bool              // an IP address: never looked up
	Addrs      []netip.Addr      // in use; shared, only to be read
	Answered   time.Time         // when the last good answer came; zero before the first, and of a literal
	TTL        time.Duration     // of the last good answer, within MinTTL and MaxTTL
	Next       time.Time         // when the next lookup is due; zero while the first runs, and of a literal
	Canonical  string            // the end of the alias chain of the last good answer
	Aliases    int               // CNAMEs on the way there
	Server     netip.AddrPort    // that gave the last good answer; not valid if the hosts file did
	LastResult Result            // of the last lookup
	LastError  string            // of the last lookup, "" if it was good
	Failures   int               // lookups without a good answer since the last good one
	Lookups    map[Result]uint64 // how many ended how
}
