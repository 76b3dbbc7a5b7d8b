package preface

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	proxyproto "github.com/pires/go-proxyproto"
	"github.com/pires/go-proxyproto/tlvparse"
)

// maxEndpoint bounds the id that a client with a header can write into the log. A valid id has 22 characters.
const maxEndpoint = 64

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// nextTLV cuts the first TLV off raw. n is its length with its head; 0: raw is malformed.
func nextTLV(raw []byte) (tlv proxyproto.TLV, n int) {
	if len(raw) < 3 {
		return tlv, 0
	}
	n = 3 + int(binary.BigEndian.Uint16(raw[1:]))
	if n > len(raw) {
		return tlv, 0
	}
	return proxyproto.TLV{Type: proxyproto.PP2Type(raw[0]), Value: raw[3:n]}, n
}

// parseTLVs reads the TLVs of the complete v2 header b and returns what is wrong with them.
func (p *Parser) parseTLVs(b []byte) (detail string) {
	block, _ := blockLen(b[13])
	start := v2Fixed + block
	for at := start; at < len(b); {
		tlv, n := nextTLV(b[at:])
		switch {
		case n == 0:
			return "a truncated TLV"
		case tlv.Type == proxyproto.PP2_TYPE_CRC32C:
			if len(tlv.Value) != 4 || binary.BigEndian.Uint32(tlv.Value) != checksum(b, at+3) {
				return "a checksum that does not match"
			}
		case p.Result.VPCE == "" && len(tlv.Value) <= maxEndpoint:
			if id, err := tlvparse.AWSVPCEndpointID(tlv); err == nil {
				p.Result.VPCE = id
			}
		}
		at += n
	}
	if p.KeepTLVs && start < len(b) {
		p.Result.TLVs = bytes.Clone(b[start:])
	}
	return ""
}

// checksum is the CRC32C of the header with the four bytes at field, its own place, taken as zero.
func checksum(header []byte, field int) uint32 {
	var zero [4]byte
	c := crc32.Update(0, castagnoli, header[:field])
	c = crc32.Update(c, castagnoli, zero[:])
	return crc32.Update(c, castagnoli, header[field+4:])
}
