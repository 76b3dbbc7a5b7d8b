package proxy

import (
	"net/netip"

	"github.com/l4fwd/l4fwd/proxy/preface"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// header returns what writes the PROXY header of the upstream's connections, nil if they have none.
func (t *target) header() func(f *relay.Flow, to netip.AddrPort, b []byte) []byte {
	version := t.opts.SendProxy
	if version == 0 {
		return nil
	}
	return func(f *relay.Flow, to netip.AddrPort, b []byte) []byte {
		from := f.Client
		var tlvs []byte
		if v := visitOf(f); v != nil {
			found := &v.parser.Result
			from, tlvs = v.source(f), found.TLVs
			if found.Dest.IsValid() {
				to = found.Dest
			}
		}
		out, err := preface.AppendHeader(b, version, from, to, tlvs)
		if err != nil || len(out) > relay.MaxHeader { // cannot be: TLVs were checked as they came in, and are 4 KiB at most
			out, _ = preface.AppendHeader(b, version, from, to, nil)
		}
		return out
	}
}

// probeHeader is the header of a check: it says that the connection is nobody's. nil: none is sent.
func probeHeader(version int) []byte {
	if version == 0 {
		return nil
	}
	b, _ := preface.AppendHeader(nil, version, netip.AddrPort{}, netip.AddrPort{}, nil) // fails for TLVs only
	return b
}
