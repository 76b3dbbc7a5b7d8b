package standin

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// Fault says what is wrong with the way to the stand-in, below HTTP. A diagnosis must find it.
type Fault string

// The faults.
const (
	FaultNone       Fault = ""
	FaultOtherName  Fault = "other-name"  // the certificate is for www.example.com
	FaultExpired    Fault = "expired"     // the certificate was valid until yesterday
	FaultSelfSigned Fault = "self-signed" // nobody but the server itself vouches for it
	FaultResigned   Fault = "re-signed"   // a proxy that inspects TLS has signed the certificate anew, with an authority of its own
	FaultSplitHello Fault = "split-hello" // a firewall drops connections whose ClientHello does not come in one segment
	FaultReset      Fault = "reset"       // a firewall resets connections at their ClientHello
	FaultSilent     Fault = "silent"      // something accepts connections and never answers
)

// Faults lists the values of Fault.
func Faults() []Fault {
	return []Fault{FaultNone, FaultOtherName, FaultExpired, FaultSelfSigned, FaultResigned, FaultSplitHello, FaultReset, FaultSilent}
}

// timestamps is the extension that public authorities put into their certificates: proofs of Certificate Transparency. This one
// has the form of a proof (RFC 6962, 3.3) and proves nothing.
func timestamps(now time.Time) pkix.Extension {
	proof := make([]byte, 1+32+8+2+2+2+64)
	_, _ = rand.Read(proof) // never fails since Go 1.24
	proof[0] = 0            // version 1
	binary.BigEndian.PutUint64(proof[33:], uint64(now.UnixMilli()))
	copy(proof[41:], []byte{0, 0, 4, 3, 0, 64}) // no extensions; ECDSA with SHA-256, 64 bytes
	list := binary.BigEndian.AppendUint16(nil, uint16(len(proof)+2))
	list = append(binary.BigEndian.AppendUint16(list, uint16(len(proof))), proof...)
	value, err := asn1.Marshal(list)
	if err != nil {
		return pkix.Extension{} // bytes always marshal
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: value}
}

// alter makes the template of the server's certificate one with the fault.
func (f Fault) alter(c *x509.Certificate, now time.Time) {
	switch f {
	case FaultOtherName:
		c.Subject.CommonName, c.DNSNames, c.IPAddresses = "www.example.com", []string{"www.example.com"}, nil
	case FaultExpired:
		c.NotBefore, c.NotAfter = now.Add(-30*24*time.Hour), now.Add(-24*time.Hour)
	case FaultSelfSigned, FaultResigned:
		c.ExtraExtensions = nil // no public authority has seen it
	}
}

// wrap is a listener whose connections have the fault.
func (f Fault) wrap(ln net.Listener) net.Listener {
	switch f {
	case FaultSplitHello, FaultReset, FaultSilent:
		return &faulty{Listener: ln, fault: f}
	}
	return ln
}

// faulty is a listener behind something that interferes.
type faulty struct {
	net.Listener
	fault Fault
}

func (l *faulty) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &faultyConn{Conn: c, fault: l.fault}, nil
}

// faultyConn is judged by its first segment.
type faultyConn struct {
	net.Conn
	fault Fault
	once  sync.Once
	first []byte // what of the first segment was not read yet
	err   error
}

// mostSegment holds a ClientHello of any size.
const mostSegment = 16 << 10

// Read fails where the connection is cut; where it is dropped, it waits for its end.
func (c *faultyConn) Read(b []byte) (int, error) {
	c.once.Do(func() {
		c.first = make([]byte, mostSegment)
		var n int
		n, c.err = c.Conn.Read(c.first)
		c.first = c.first[:n]
		if c.err == nil {
			c.judge(c.first)
		}
	})
	switch {
	case c.err != nil:
		return 0, c.err
	case len(c.first) > 0:
		n := copy(b, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(b)
}

// judge looks at the first segment, and cuts or drops the connection.
func (c *faultyConn) judge(first []byte) {
	switch {
	case c.fault == FaultReset:
		if t, ok := c.Conn.(*net.TCPConn); ok {
			_ = t.SetLinger(0)
		}
		c.err = net.ErrClosed
		_ = c.Close()
	case c.fault == FaultSilent, !wholeRecord(first), dataSegments(c.Conn) > 1: // both may have come before the read
		rest := make([]byte, 4<<10)
		for c.err == nil { // packets are dropped; the client gives up, or the server's deadline comes
			_, c.err = c.Conn.Read(rest)
		}
	}
}

// wholeRecord reports whether a segment holds a TLS record to its end.
func wholeRecord(b []byte) bool {
	return len(b) >= 5 && len(b) >= 5+int(binary.BigEndian.Uint16(b[3:]))
}
