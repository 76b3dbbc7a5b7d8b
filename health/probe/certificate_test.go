package probe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/health/probe"
)

// issuer makes certificates. A nil one has them sign themselves.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate for one.example that is valid for an hour, but for a change.
func (by *issuer) issue(t *testing.T, change func(*x509.Certificate)) issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "subject"}, DNSNames: []string{"one.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(template)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return issuer{cert, key}
}

// shown is what a handshake finds of a certificate. The checks of the daemon take only a valid one, a diagnosis any.
func shown(t *testing.T, served issuer, roots *x509.CertPool) *probe.Certificate {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{served.cert.Raw}, PrivateKey: served.key}}}
	addr := listens(t, func(c net.Conn) { _ = tls.Server(c, config).Handshake() })
	q := probe.TLSRequest{Addr: addr, ServerName: "one.example", Roots: roots, Unverified: true}
	r, err := probe.TLS(within(t, 10*time.Second), q)
	require.NoError(t, err)
	q.Unverified = false
	_, err = probe.TLS(within(t, 10*time.Second), q)
	require.Equal(t, r.Certificate.Fault == probe.CertificateValid, err == nil, "%v", err)
	return r.Certificate
}

// Why a certificate is not valid; of several faults the one that an operator mends first.
func TestTheFaultsOfCertificates(t *testing.T) {
	authority := (*issuer)(nil).issue(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.BasicConstraintsValid, c.KeyUsage = "authority", true, true, x509.KeyUsageCertSign
	})
	known := x509.NewCertPool()
	known.AddCert(authority.cert)
	nobody := x509.NewCertPool()
	expired := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	other := func(c *x509.Certificate) { c.DNSNames = []string{"two.example"} }
	for name, c := range map[string]struct {
		by     *issuer
		change func(*x509.Certificate)
		roots  *x509.CertPool
		want   probe.CertificateFault
	}{
		"valid":                      {&authority, func(*x509.Certificate) {}, known, probe.CertificateValid},
		"expired":                    {&authority, expired, known, probe.CertificateExpired},
		"not yet valid":              {&authority, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, known, probe.CertificateNotYet},
		"for another name":           {&authority, other, known, probe.CertificateOtherName},
		"expired, for another name":  {&authority, func(c *x509.Certificate) { expired(c); other(c) }, known, probe.CertificateExpired},
		"of an unknown authority":    {&authority, func(*x509.Certificate) {}, nobody, probe.CertificateUnknownCA},
		"self-signed":                {nil, func(*x509.Certificate) {}, nobody, probe.CertificateSelfSigned},
		"self-signed, another name":  {nil, other, nobody, probe.CertificateOtherName},
		"for clients, not a server":  {&authority, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, known, probe.CertificateBad},
		"self-signed and trusted so": {nil, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, nil, probe.CertificateValid},
	} {
		t.Run(name, func(t *testing.T) {
			served := c.by.issue(t, c.change)
			roots := c.roots
			if roots == nil {
				roots = x509.NewCertPool()
				roots.AddCert(served.cert)
			}
			got := shown(t, served, roots)
			require.Equal(t, c.want, got.Fault)
			require.Equal(t, c.by == nil, got.SelfSigned)
			require.False(t, got.Logged)
		})
	}
}

// What is shown of a certificate: its names with its addresses, its dates, and whether public logs have it.
func TestWhatIsShownOfACertificate(t *testing.T) {
	authority := (*issuer)(nil).issue(t, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.BasicConstraintsValid = "authority", true, true
	})
	proofs := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: []byte{4, 0}}
	served := authority.issue(t, func(c *x509.Certificate) {
		c.DNSNames = []string{"one.example", "*.one.example"}
		c.IPAddresses = []net.IP{net.IPv4(192, 0, 2, 1), net.ParseIP("2001:db8::1")}
		c.ExtraExtensions = []pkix.Extension{proofs}
	})
	got := shown(t, served, x509.NewCertPool())
	require.Equal(t, []string{"one.example", "*.one.example", "192.0.2.1", "2001:db8::1"}, got.Names)
	require.Equal(t, [2]string{"CN=subject", "CN=authority"}, [2]string{got.Subject, got.Issuer})
	require.Equal(t, [2]time.Time{served.cert.NotBefore, served.cert.NotAfter}, [2]time.Time{got.NotBefore, got.NotAfter})
	require.True(t, got.Logged)
}
