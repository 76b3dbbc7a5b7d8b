// Package preface reads what a client sends before its payload counts: a PROXY protocol header from the load balancer
// in front, and the TLS ClientHello that names the host it wants. It works on bytes only, decrypts nothing and changes
// nothing. Access lists and routes, which are judged by what it finds, are here, too.
//
//	b ─► PROXY header (off, optional, required) ─► ClientHello (where there are routes) ─► Verdict
//
// The bytes of a client grow from call to call. Bytes that are accepted once complete get the answer More at each
// strict prefix, and how they are cut into reads never changes the verdict.
package preface

import (
	"net/netip"

	"github.com/l4fwd/l4fwd/proxy/enum"
)

// MaxBytes is the most that a preface, header and ClientHello together, may take. A ClientHello has 0.3 to 2 KiB; one with
// large session tickets, client certificates or many key shares has had more than 16.
const MaxBytes = 64 << 10

// Mode says whether a PROXY header is expected.
type Mode uint8

// Optional lets whoever reaches the listener claim any source address: it is for networks where only load balancers can.
const (
	Off      Mode = iota // the first byte is payload
	Optional             // bytes that cannot be a header are payload at once
	Required             // a client without a header is refused
)

var modes = []string{Off: "off", Optional: "optional", Required: "required"}

func (m Mode) String() string { return enum.Name(modes, m) }

// UnmarshalText reads the name of a Mode and refuses an unknown one.
func (m *Mode) UnmarshalText(text []byte) error { return enum.Parse(modes, text, m) }

// Config says what to read. The zero value reads nothing.
type Config struct {
	Proxy    Mode
	Hello    bool // read the ClientHello: the listener has routes
	KeepTLVs bool // fill Result.TLVs
}

// Wanted reports whether there is anything to read.
func (c Config) Wanted() bool { return c.Proxy != Off || c.Hello }

// Result is what was found. It shares no memory with the bytes it was read from.
type Result struct {
	Version int            // of the PROXY header: 1 or 2; 0: there was none
	Local   bool           // the header says that the connection is the load balancer's own (v2 LOCAL, v1 UNKNOWN)
	Source  netip.AddrPort // the true client, IPv4 never mapped into IPv6; zero: the header names none, or there is none
	Dest    netip.AddrPort // what the true client connected to; zero with Source
	TLVs    []byte         // as received, malformed ones refused; nil without Config.KeepTLVs
	VPCE    string         // the id of the VPC endpoint the client came through; empty if not told
	SNI     string         // the host name of the ClientHello in lower case, without a trailing dot
}

// Verdict is the answer to the bytes so far.
type Verdict struct {
	More    bool   // not enough bytes yet; of the other fields only Closed and Expired count then
	Refuse  Reason // not None: the client is refused
	Detail  string // what is wrong with a refused client, for the log: a constant text
	Skip    int    // length of the PROXY header, which is not payload
	Closed  Reason // with More: what the connection was if the client ends it now
	Expired Reason // with More: what it was if time runs out now
}

// Parser reads the preface of one connection. It remembers how far it came, so that a client that sends byte by byte
// costs no more than its bytes. The zero value with a Config is ready. Not for concurrent use.
type Parser struct {
	Config
	Result Result // complete once a Verdict without More and Refuse was given

	header int  // length of the PROXY header
	past   bool // the header was read, or there is none
	need   int  // fewer bytes than this give the same answer
	hello  hello
}

// Parse reads the bytes of a client from their beginning.
func Parse(c Config, b []byte) (Result, Verdict) {
	p := Parser{Config: c}
	v := p.Parse(b)
	return p.Result, v
}

// Parse is called with all that the client sent so far, at most MaxBytes; b is not kept.
// After a verdict without More it must not be called again.
func (p *Parser) Parse(b []byte) Verdict {
	if len(b) < p.need {
		return p.more(b, p.need)
	}
	if !p.past {
		if v, done := p.parseHeader(b); done {
			return v
		}
		p.past = true
		p.hello.next = p.header
	}
	if p.Hello {
		return p.parseHello(b)
	}
	if p.Result.Local && len(b) == p.header { // a health check so far: not worth an upstream connection
		return p.more(b, p.header+1)
	}
	return Verdict{Skip: p.header}
}

// more asks for at least need bytes in all.
func (p *Parser) more(b []byte, need int) Verdict {
	p.need = need
	v := Verdict{More: true, Closed: HelloBad, Expired: PrefaceTimeout}
	switch payload := len(b) > p.header; {
	case payload && !p.past:
		v.Closed = ProxyHeaderBad
	case !payload:
		v.Closed = Probe
		if p.Result.Local || len(b) == 0 {
			v.Expired = p.Silent()
		}
	}
	return v
}

// Silent returns what a connection was on which nothing came until time ran out. Where a load balancer writes PROXY headers,
// it is the load balancer's own: an NLB leaves such a connection open to test whether the target can be reached.
func (c Config) Silent() Reason {
	if c.Proxy != Off {
		return Probe
	}
	return PrefaceTimeout
}

// refuse is the verdict that refuses a client; detail is a constant text for the log.
func refuse(r Reason, detail string) Verdict { return Verdict{Refuse: r, Detail: detail} }
