package preface

import (
	"encoding/binary"
	"fmt"
)

// Of TLS (RFC 8446, sections 4 and 5.1).
const (
	recordHead      = 5
	recordHandshake = 22
	recordMax       = 1 << 14
	messageHead     = 4 // type and length
	clientHello     = 1
)

// hello is how far the records of a ClientHello were read.
type hello struct {
	next  int // offset of the first record not read
	got   int // bytes of the message in the records read
	size  int // length of the message with its head; 0: its head is not complete
	parts int // records read
	head  [messageHead]byte
}

// parseHello reads records until they hold the whole message.
func (p *Parser) parseHello(b []byte) Verdict {
	h := &p.hello
	for h.size == 0 || h.got < h.size {
		rest := b[h.next:]
		if detail := checkRecord(rest, h.next == p.header); detail != "" {
			return refuse(HelloBad, detail)
		}
		if len(rest) < recordHead {
			return p.more(b, h.next+min(len(rest)+1, recordHead))
		}
		n := int(binary.BigEndian.Uint16(rest[3:]))
		if n == 0 || n > recordMax { // an empty record would let a client send for nothing
			return refuse(HelloBad, "a TLS record of an impossible length")
		}
		body := rest[recordHead:]
		if detail := h.readHead(body[:min(n, len(body))]); detail != "" {
			return refuse(HelloBad, detail)
		}
		want := n
		if h.size > 0 {
			want = min(n, h.size-h.got)
			if h.next+recordHead+h.size-h.got > MaxBytes {
				return refuse(HelloBad, tooLong)
			}
		}
		if len(body) < want {
			return p.more(b, h.needed(len(body), want))
		}
		h.next += recordHead + n
		h.got += want
		h.parts++
	}
	return p.readName(h.message(b, p.header))
}

// tooLong is the detail of a ClientHello that does not fit into MaxBytes.
var tooLong = fmt.Sprintf("a ClientHello longer than %d KiB", MaxBytes>>10)

// needed is how many bytes in all are worth the next look: the whole record, or the head of the message within it.
func (h *hello) needed(have, want int) int {
	if h.size == 0 {
		want = min(have+1, want)
	}
	return h.next + recordHead + want
}

// checkRecord judges the head of a record, or what there is of it.
func checkRecord(b []byte, first bool) (detail string) {
	switch {
	case len(b) == 0:
	case b[0] != recordHandshake && first:
		return hint(b)
	case b[0] != recordHandshake:
		return "a record that is no handshake amid the ClientHello"
	case len(b) > 1 && b[1] != 3:
		return "a TLS record of an unknown version"
	}
	return ""
}

// readHead looks at the head of the message, of which body may hold the next bytes.
func (h *hello) readHead(body []byte) (detail string) {
	if h.got >= messageHead {
		return ""
	}
	n := h.got + copy(h.head[h.got:], body)
	switch {
	case n > 0 && h.head[0] != clientHello:
		return "a handshake that does not begin with a ClientHello"
	case n > 1 && h.head[1] != 0:
		return tooLong
	case n == messageHead: // the length has 24 bits, of which the first 8 are zero here
		h.size = messageHead + int(binary.BigEndian.Uint16(h.head[2:]))
		if h.size > MaxBytes {
			return tooLong
		}
	}
	return ""
}

// message returns the whole message: a part of b if it came in one record, as it nearly always does.
func (h *hello) message(b []byte, start int) []byte {
	if h.parts == 1 {
		return b[start+recordHead:][:h.size]
	}
	m := make([]byte, 0, h.size)
	for at := start; len(m) < h.size; {
		n := int(binary.BigEndian.Uint16(b[at+3:]))
		m = append(m, b[at+recordHead:][:min(n, h.size-len(m))]...)
		at += recordHead + n
	}
	return m
}
