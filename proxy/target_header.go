package proxy

import (
	"net/netip"

	"github.com/l4fwd/l4fwd/proxy/preface"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// header returns the function that writes the PROXY header of the upstream's connections; nil: they have none.
func (t *target) header() func(f *relay.Flow, to netip.AddrPort, b []byte) []byte {
	version := int(t.opts.SendProxy)
	if version == 0 {
		return nil
	}
	return func(f *relay.Flow, to netip.AddrPort, b []byte) []byte {
		from := f.Client
		var tlvs []byte
		if a := sessionOf(f); a != nil {
			found := &a.parser.Result
			from, tlvs = a.source(f), found.TLVs
			if found.Dest.IsValid() {
				to = found.Dest
			}
		}
		out, err := preface.AppendHeader(b, version, from, to, tlvs)
		if err != nil || len(out) > relay.MaxHeader { // cannot be: TLVs were checked when they came in, and have 4 KiB at most
			out, _ = preface.AppendHeader(b, version, from, to, nil)
		}
		return out
	}
}

// CheckHeader is the PROXY header that a check sends first. It names no client; nil: none is sent.
func CheckHeader(version SendProxy) []byte {
	if version == SendProxyOff {
		return nil
	}
	b, _ := preface.AppendHeader(nil, int(version), netip.AddrPort{}, netip.AddrPort{}, nil) // fails for TLVs only
	return b
}
