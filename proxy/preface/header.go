package preface

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"
)

// From the specification of the PROXY protocol, https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt.
const (
	v1Signature = "PROXY "
	v1Max       = 107 // with CR and LF
	v2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	v2Fixed     = 16 // signature, version and command, family, length
	v2Block4    = 12 // addresses and ports over IPv4
	v2Block6    = 36
	v2BlockUnix = 216 // two paths of 108 bytes
)

// nginx's stream module writes TCP6 with an IPv4 address where client and server differ in their family.
func init() { proxyproto.V1AcceptIPv4InTCP6 = true }

// v2Max is the most that may follow the fixed part. The protocol allows 64 KiB; a client certificate, the largest thing
// known to be sent, takes 1 to 2 KiB. It is what the library accepts by default.
const v2Max = 4 << 10

// parseHeader looks for a PROXY header. done is false once the header was read, or is known to be absent where it may be.
// Only the first header counts: a second one is from the client itself, and payload.
func (p *Parser) parseHeader(b []byte) (v Verdict, done bool) {
	switch {
	case p.Proxy == Off:
		return Verdict{}, false
	case len(b) == 0:
		return p.more(b, 1), true
	case begins(b, v2Signature):
		return p.parseV2(b)
	case begins(b, v1Signature):
		return p.parseV1(b)
	case p.Proxy == Required:
		return refuse(ProxyHeaderMissing, "the first bytes are no PROXY header"), true
	}
	return Verdict{}, false
}

// begins reports whether b is the beginning of the signature, or begins with it.
func begins(b []byte, signature string) bool {
	n := min(len(b), len(signature))
	return string(b[:n]) == signature[:n]
}

// parseV1 looks for the end of a v1 header, which is one line.
func (p *Parser) parseV1(b []byte) (Verdict, bool) {
	end := bytes.IndexByte(b[:min(len(b), v1Max)], '\n') + 1
	switch {
	case end > 0:
		return p.decode(b[:end])
	case len(b) >= v1Max:
		return refuse(ProxyHeaderBad, "a v1 header longer than 107 bytes"), true
	}
	return p.more(b, len(b)+1), true
}

// parseV2 refuses a faulty header as early as possible, so that it does not wait for the rest of garbage.
func (p *Parser) parseV2(b []byte) (Verdict, bool) {
	if len(b) > 12 && b[12] != byte(proxyproto.PROXY) && b[12] != byte(proxyproto.LOCAL) {
		return refuse(ProxyHeaderBad, "a v2 header of an unknown version or command"), true
	}
	if len(b) < v2Fixed {
		return p.more(b, min(len(b)+1, v2Fixed)), true
	}
	length := int(binary.BigEndian.Uint16(b[14:]))
	if length > v2Max {
		return refuse(ProxyHeaderBad, "a v2 header longer than 4 KiB"), true
	}
	if b[12] == byte(proxyproto.PROXY) {
		switch block, defined := blockLen(b[13]); {
		case !defined:
			return refuse(ProxyHeaderBad, "a v2 header of an unknown family"), true
		case length < block:
			return refuse(ProxyHeaderBad, "a v2 header too short for its addresses"), true
		}
	}
	if n := v2Fixed + length; len(b) < n {
		return p.more(b, n), true
	}
	b = b[:v2Fixed+length]
	if b[12] == byte(proxyproto.PROXY) && !namesTCPClient(b[13]) {
		return p.decodeUnnamed(b)
	}
	return p.decode(b)
}

// blockLen returns how many bytes the addresses of a family take. defined tells whether the protocol has the family: others
// must be refused.
func blockLen(family byte) (n int, defined bool) {
	switch proxyproto.AddressFamilyAndProtocol(family) {
	case proxyproto.UNSPEC:
		return 0, true
	case proxyproto.TCPv4, proxyproto.UDPv4:
		return v2Block4, true
	case proxyproto.TCPv6, proxyproto.UDPv6:
		return v2Block6, true
	case proxyproto.UnixStream, proxyproto.UnixDatagram:
		return v2BlockUnix, true
	}
	return 0, false
}

// namesTCPClient reports whether a v2 header of the family has the addresses of a TCP client.
func namesTCPClient(family byte) bool {
	f := proxyproto.AddressFamilyAndProtocol(family)
	return f == proxyproto.TCPv4 || f == proxyproto.TCPv6
}

// decodeUnnamed reads the complete v2 header b of a connection that a proxy passes on but whose client has no TCP address, or
// an unknown one. Its addresses are skipped: the connection's own count (specification, 2.2). Its TLVs are read.
func (p *Parser) decodeUnnamed(b []byte) (Verdict, bool) {
	p.Result.Version, p.header = 2, len(b)
	if detail := p.parseTLVs(b); detail != "" {
		return refuse(ProxyHeaderBad, detail), true
	}
	return Verdict{}, false
}

// decode reads the complete header b.
func (p *Parser) decode(b []byte) (Verdict, bool) {
	h, err := readHeader(b)
	if err != nil {
		return refuse(ProxyHeaderBad, "a malformed header"), true
	}
	r := &p.Result
	r.Version = int(h.Version)
	r.Local = h.Command.IsLocal()
	p.header = len(b)
	if r.Local { // its addresses and TLVs are to be discarded; NLB's health checks have TLVs where the addresses belong
		return Verdict{}, false
	}
	from, to, ok := h.TCPAddrs()
	if !ok {
		return refuse(ProxyHeaderBad, "a header without TCP addresses"), true
	}
	r.Source, r.Dest = addrPort(from), addrPort(to)
	if h.Version == 2 {
		if detail := p.parseTLVs(b); detail != "" {
			return refuse(ProxyHeaderBad, detail), true
		}
	}
	return Verdict{}, false
}

// addrPort returns the address, IPv4 never mapped into IPv6.
func addrPort(a *net.TCPAddr) netip.AddrPort {
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
