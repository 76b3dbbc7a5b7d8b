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
)

// MainTLS is Main for an origin that speaks TLS 1.3 and does nothing but shake hands. A connection that says nothing may stay
// for ever, as a relay's warm ones do.
func MainTLS(addrs []netip.Addr, stdin io.Reader, stdout io.Writer) error {
	if _, err := sock.RaiseFileLimit(); err != nil {
		return err
	}
	cert, err := certificate()
	if err != nil {
		return err
	}
	// No tickets: they would be on their way while the client closes, and reset its connection.
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true}
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
			defer c.Close()
			// A client that leaves before is a probe or an unused warm connection.
			if s := tls.Server(c, config); s.Handshake() == nil {
				_, _ = io.Copy(io.Discard, s)
			}
		}()
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
