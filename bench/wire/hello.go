package wire

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
)

// A ClientHello can be a request, for relays that look at it: its random bytes, as many as a header has, are the header,
// and its session id ends with the tail. The rest is what a TLS client sends. The origin answers as it answers any request.

// Where they are in a TLS record with a ClientHello at its beginning (RFC 8446, 5.1 and 4.1.2).
const (
	recordHeader = 5
	helloRandom  = recordHeader + 4 + 2 // behind the handshake's header and the version
	helloID      = helloRandom + HeaderSize
	helloIDEnd   = helloID + 1 + 32
	handshake    = 22 // the type of the record
	clientHello  = 1  // the type of the handshake message
)

// NewHello is the ClientHello, in one record, of Go's TLS client that asks for a host name. It has no header yet.
func NewHello(name string) ([]byte, error) {
	near, far := net.Pipe()
	defer far.Close()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(near, &tls.Config{ServerName: name}).HandshakeContext(ctx)
	}()
	msg := make([]byte, SmallMax)
	n, err := far.Read(msg)
	cancel()
	<-done
	if err != nil {
		return nil, fmt.Errorf("make a ClientHello: %w", err)
	}
	if msg = msg[:n]; HelloSize(msg) != n {
		return nil, fmt.Errorf("make a ClientHello: %d bytes are not one record", n)
	}
	return msg, nil
}

// IsHello tells a request that is a ClientHello from any other, by its first byte.
func IsHello(b []byte) bool { return len(b) > 0 && b[0] == handshake }

// HelloSize is the length in bytes of the record that b begins with, at most SmallMax; 0 while b is too short to tell, and
// -1 where there is no such record.
func HelloSize(b []byte) int {
	if len(b) < recordHeader+1 {
		return 0
	}
	n := recordHeader + int(binary.BigEndian.Uint16(b[3:]))
	if b[0] != handshake || b[recordHeader] != clientHello || n < helloIDEnd || n > SmallMax {
		return -1
	}
	return n
}

// SealHello writes h and the tail into a ClientHello of NewHello.
func SealHello(msg []byte, h Header) {
	h.Put(msg[helloRandom:])
	binary.LittleEndian.PutUint64(msg[helloIDEnd-8:], tail(h.Seq))
}

// OpenHello reads the header of a whole ClientHello and checks its tail against it.
func OpenHello(msg []byte) (Header, error) {
	if len(msg) == 0 || HelloSize(msg) != len(msg) {
		return Header{}, errors.New("parse ClientHello: it is not one record")
	}
	h, err := Parse(msg[helloRandom:])
	if err != nil {
		return h, err
	}
	if got := binary.LittleEndian.Uint64(msg[helloIDEnd-8:]); got != tail(h.Seq) || int(h.Up) != len(msg) {
		return h, fmt.Errorf("check ClientHello: %d bytes ending their session id with %x are not request %d of %d bytes", len(msg), got, h.Seq, h.Up)
	}
	return h, nil
}
