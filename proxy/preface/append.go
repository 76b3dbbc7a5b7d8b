package preface

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	proxyproto "github.com/pires/go-proxyproto"
)

// AppendHeader appends a PROXY header of version 1 or 2 for a client that connected from from to to.
//
// If one address is IPv4 and the other IPv6, the IPv4 one is written mapped into IPv6. If to is the zero value, the unspecified
// address is written: only the client's matters. If from is, the header says that the addresses are not known: UNKNOWN in
// version 1, LOCAL in version 2. tlvs, as in Result.TLVs, are passed on in version 2 without padding; a checksum (the first, if
// there are more) is computed anew. An error means that TLVs are malformed or more than a header holds; b is returned as it was.
func AppendHeader(b []byte, version int, from, to netip.AddrPort, tlvs []byte) ([]byte, error) {
	if version != 1 && version != 2 {
		return b, fmt.Errorf("write PROXY header: version %d is neither 1 nor 2", version)
	}
	head, err := formatHeader(byte(version), from, to)
	if err != nil {
		return b, fmt.Errorf("write PROXY header: %w", err)
	}
	start := len(b)
	out := append(b, head...)
	if version == 1 {
		return out, nil
	}
	out, field, err := appendTLVs(out, start, tlvs)
	if err != nil {
		return b, fmt.Errorf("write PROXY header: %w", err)
	}
	return finish(b, out[start:], out, field)
}

// appendTLVs appends TLVs to the header that begins at start, without padding. field is where its checksum belongs, counted from
// start; 0: it has none.
func appendTLVs(out []byte, start int, tlvs []byte) (_ []byte, field int, err error) {
	for len(tlvs) > 0 {
		tlv, n := nextTLV(tlvs)
		switch {
		case n == 0:
			return nil, 0, errors.New("a truncated TLV")
		case tlv.Type == proxyproto.PP2_TYPE_NOOP, tlv.Type == proxyproto.PP2_TYPE_CRC32C && field != 0:
		case tlv.Type == proxyproto.PP2_TYPE_CRC32C && n != 7:
			return nil, 0, errors.New("a malformed checksum")
		default:
			if tlv.Type == proxyproto.PP2_TYPE_CRC32C {
				field = len(out) - start + 3
			}
			out = append(out, tlvs[:n]...)
		}
		tlvs = tlvs[n:]
	}
	return out, field, nil
}

// finish enters length and checksum into header, the new part of out.
func finish(b, header, out []byte, field int) ([]byte, error) {
	length := len(header) - v2Fixed
	if length > 1<<16-1 {
		return b, errors.New("write PROXY header: TLVs of more than 64 KiB")
	}
	binary.BigEndian.PutUint16(header[14:], uint16(length))
	if field > 0 {
		binary.BigEndian.PutUint32(header[field:], checksum(header, field))
	}
	return out, nil
}

// formatHeader returns a header without TLVs.
func formatHeader(version byte, from, to netip.AddrPort) ([]byte, error) {
	if !from.IsValid() {
		return proxyproto.HeaderProxyFromAddrs(version, nil, nil).Format()
	}
	from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
	if !to.IsValid() {
		to = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
		if from.Addr().Is4() {
			to = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
		}
	}
	return proxyproto.HeaderProxyFromAddrs(version, net.TCPAddrFromAddrPort(from), net.TCPAddrFromAddrPort(to)).Format()
}
