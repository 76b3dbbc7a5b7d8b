package origin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"time"

	"github.com/l4fwd/l4fwd/bench/sock"
	"github.com/l4fwd/l4fwd/bench/wire"
)

// MainTLS is Main for an origin that speaks TLS and answers small exchanges. With tickets it lets clients resume their
// sessions. A connection that says nothing may stay for ever, as a relay's warm ones do.
func MainTLS(addrs []netip.Addr, tickets bool, stdin io.Reader, stdout io.Writer) error {
	if _, err := sock.RaiseFileLimit(); err != nil {
		return err
	}
	cert, err := certificate()
	if err != nil {
		return err
	}
	// A client that closes after the handshake wants no tickets: they would be on their way then, and reset its connection.
	config := &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: !tickets}
	var ready Ready
	for _, a := range addrs {
		l, err := net.Listen("tcp4", netip.AddrPortFrom(a, 0).String())
		if err != nil {
			return fmt.Errorf("listen on %s: %w", a, err)
		}
		defer l.Close()
		ready.Addrs = append(ready.Addrs, l.Addr().(*net.TCPAddr).AddrPort())
		go serveTLS(l, config)
	}
	if err := json.NewEncoder(stdout).Encode(ready); err != nil {
		return fmt.Errorf("report addresses: %w", err)
	}
	_, err = io.Copy(io.Discard, stdin)
	return err
}

// serveTLS serves a listener until it is closed. Connections end with their clients, at the latest with the process.
func serveTLS(l net.Listener, config *tls.Config) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			s := tls.Server(c, config)
			defer s.Close() // with a close_notify, as servers do
			// A client that leaves before is a probe or an unused warm connection.
			if s.Handshake() == nil {
				exchanges(s)
			}
		}()
	}
}

// exchanges answers until the client ends, or sends what no correct relay delivers: its connection ends without an answer
// then, which makes the repetition invalid.
func exchanges(s *tls.Conn) {
	b := make([]byte, wire.SmallMax)
	for {
		if _, err := io.ReadFull(s, b[:wire.HeaderSize]); err != nil {
			return
		}
		h, err := wire.Parse(b[:wire.HeaderSize])
		if err != nil || h.Op != wire.Exchange || h.Up > wire.SmallMax || h.Down > wire.SmallMax {
			return
		}
		if _, err := io.ReadFull(s, b[wire.HeaderSize:h.Up]); err != nil {
			return
		}
		if _, err := wire.Open(b[:h.Up]); err != nil {
			return
		}
		wire.Seal(b[:h.Down], wire.Header{Op: wire.Answer, Up: h.Up, Down: h.Down, Seq: h.Seq, Stamp: wire.Now()})
		if _, err := s.Write(b[:h.Down]); err != nil {
			return
		}
	}
}

// certificate is one that nobody has signed, with a key of the kind that most servers have.
func certificate() (cert tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, fmt.Errorf("make a key: %w", err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"origin.example"}, NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return cert, fmt.Errorf("make a certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
