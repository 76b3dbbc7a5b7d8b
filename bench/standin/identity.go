package standin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// validity of the certificates: longer than any soak, and too short to be of use elsewhere.
const validity = 90 * 24 * time.Hour

// identity is who the stand-in is in TLS.
type identity struct {
	caPEM []byte          // the authority's certificate; its key is dropped once it has signed
	cert  tls.Certificate // the server's, with Leaf parsed
}

// newIdentity makes an authority, signs one server certificate with it and forgets the authority's key, so
// that nobody who trusts it for a demo trusts more than this one server.
func newIdentity(now time.Time, fault Fault) (identity, error) {
	ca, caKey, err := newAuthority(now, "l4fwd stand-in CA (tests only)")
	if err != nil {
		return identity{}, fmt.Errorf("make certificate authority: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, fmt.Errorf("make server key: %w", err)
	}
	template, by, byKey := leafTemplate(now), ca, caKey
	fault.alter(template, now)
	switch fault {
	case FaultSelfSigned:
		by, byKey = template, key
	case FaultResigned:
		if by, byKey, err = newAuthority(now, "Example Corp TLS Inspection"); err != nil {
			return identity{}, fmt.Errorf("make another authority: %w", err)
		}
	}
	leaf, err := sign(template, by, key, byKey)
	if err != nil {
		return identity{}, fmt.Errorf("sign server certificate: %w", err)
	}
	return identity{
		caPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}),
		cert:  tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
	}, nil
}

// newAuthority makes a self-signed certificate that may sign server certificates and nothing below them.
func newAuthority(now time.Time, name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"l4fwd stand-in"}, CommonName: name},
		NotBefore:             now.Add(-time.Hour), // clocks of clients in containers may lag
		NotAfter:              now.Add(validity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	cert, err := sign(template, template, key, key)
	return cert, key, err
}

// leafTemplate names what a client may call the stand-in: the service's names, and this machine.
func leafTemplate(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{Organization: []string{"l4fwd stand-in"}, CommonName: "*.openai.azure.com"},
		NotBefore:   now.Add(-time.Hour),
		NotAfter:    now.Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"*.openai.azure.com", Name, "localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},

		ExtraExtensions: []pkix.Extension{timestamps(now)},
	}
}

// sign makes a certificate from template for the public half of key. A template that is its own parent is
// signed by itself.
func sign(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
