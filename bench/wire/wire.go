// Package wire is the little protocol between the bench's load and its origin, through whatever lies between them.
//
// Everything is an exchange: the load sends a request of Up bytes whose first 32 are a header, the origin answers with
// Down bytes whose first 32 are a header with the same Seq. Small exchanges are ping-pong, large ones are bulk; in both a
// relay that loses, repeats or reorders bytes is caught, since the next header is not where it must be. A stream
// request instead makes the origin send messages of Down bytes every Every until the connection ends.
package wire

import (
	"encoding/binary"
	"fmt"
	"time"
)

// HeaderSize is the length of a header in bytes, and so the smallest Up and Down.
const HeaderSize = 32

// SmallMax is the largest Up or Down, in bytes, that either side handles as one buffer; more than that is bulk.
const SmallMax = 32 << 10

const magic = 0xB47C

// Op says what a header asks for or is.
type Op uint8

// The closed list of operations.
const (
	Exchange Op = 1
	Stream   Op = 2
	Answer   Op = 3
)

// Header opens every request, answer and stream message. On the wire it is little-endian and HeaderSize long.
type Header struct {
	Op    Op
	Up    uint32        // bytes of the request, header included
	Down  uint32        // bytes of the answer, or of a stream message, header included
	Every time.Duration // pace of a stream; microseconds on the wire
	Seq   uint64        // echoed by the answer; counts up in a stream
	Stamp uint64        // when it was sent: Now of the sender, nanoseconds
}

// Put writes h to b, which holds at least HeaderSize bytes.
func (h Header) Put(b []byte) {
	_ = b[HeaderSize-1]
	binary.LittleEndian.PutUint16(b[0:], magic)
	b[2], b[3] = byte(h.Op), 0
	binary.LittleEndian.PutUint32(b[4:], h.Up)
	binary.LittleEndian.PutUint32(b[8:], h.Down)
	binary.LittleEndian.PutUint32(b[12:], uint32(h.Every/time.Microsecond))
	binary.LittleEndian.PutUint64(b[16:], h.Seq)
	binary.LittleEndian.PutUint64(b[24:], h.Stamp)
}

// Parse reads a header from b and refuses one that a broken relay would produce.
func Parse(b []byte) (Header, error) {
	if len(b) < HeaderSize {
		return Header{}, fmt.Errorf("parse header: %d bytes of %d", len(b), HeaderSize)
	}
	if m := binary.LittleEndian.Uint16(b); m != magic {
		return Header{}, fmt.Errorf("parse header: %x is not one, bytes were lost, repeated or reordered", b[:8])
	}
	h := Header{
		Op:    Op(b[2]),
		Up:    binary.LittleEndian.Uint32(b[4:]),
		Down:  binary.LittleEndian.Uint32(b[8:]),
		Every: time.Duration(binary.LittleEndian.Uint32(b[12:])) * time.Microsecond,
		Seq:   binary.LittleEndian.Uint64(b[16:]),
		Stamp: binary.LittleEndian.Uint64(b[24:]),
	}
	if h.Op < Exchange || h.Op > Answer || h.Up < HeaderSize || h.Down < HeaderSize {
		return Header{}, fmt.Errorf("parse header: impossible values %+v", h)
	}
	return h, nil
}

// tail is what a message ends with: its number, stirred so that neighbouring bytes and messages differ.
func tail(seq uint64) uint64 { return (seq + 1) * 0x9e3779b97f4a7c15 }

// Seal writes h to the head of msg and its Seq, stirred, to the last eight bytes, so that both ends of a small message are checked.
func Seal(msg []byte, h Header) {
	h.Put(msg)
	if len(msg) >= HeaderSize+8 {
		binary.LittleEndian.PutUint64(msg[len(msg)-8:], tail(h.Seq))
	}
}

// Open parses a whole small message and checks its tail against its head.
func Open(msg []byte) (Header, error) {
	h, err := Parse(msg)
	if err != nil {
		return h, err
	}
	if len(msg) >= HeaderSize+8 {
		if got := binary.LittleEndian.Uint64(msg[len(msg)-8:]); got != tail(h.Seq) {
			return h, fmt.Errorf("check message: the end %x is not that of message %d", got, h.Seq)
		}
	}
	return h, nil
}

var (
	clockStart = time.Now()
	clockBase  = monotonic()
)

// Now is CLOCK_MONOTONIC in nanoseconds, the same clock in every process of the machine. It costs no syscall: Go's own
// monotonic clock counts on from one reading taken at start.
func Now() uint64 { return clockBase + uint64(time.Since(clockStart)) }
