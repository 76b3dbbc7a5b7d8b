package probe

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"net/netip"
	"time"
)

// Certificate is what matters of a server's certificate.
type Certificate struct {
	Subject, Issuer     string
	Names               []string // DNS names and IP addresses that it is for
	NotBefore, NotAfter time.Time

	SelfSigned bool // its own key signed it
	Logged     bool // it carries proofs of Certificate Transparency, as that of every public authority does
	Fault      CertificateFault
}

// CertificateFault is why a certificate is not valid.
type CertificateFault string

// The faults. If there are several, the first of this list counts.
const (
	CertificateValid      CertificateFault = ""
	CertificateExpired    CertificateFault = "expired"
	CertificateNotYet     CertificateFault = "not_yet_valid"
	CertificateOtherName  CertificateFault = "other_name"
	CertificateSelfSigned CertificateFault = "self_signed"
	CertificateUnknownCA  CertificateFault = "unknown_authority" // or a chain that is not complete
	CertificateBad        CertificateFault = "invalid"           // for another reason
)

// certificate takes what matters from a certificate; err is that of verify.
func certificate(c *x509.Certificate, err error) *Certificate {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			names = append(names, a.Unmap().String())
		}
	}
	out := &Certificate{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: names, NotBefore: c.NotBefore, NotAfter: c.NotAfter,
		SelfSigned: c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil, Logged: logged(c),
	}
	out.Fault = out.fault(err)
	return out
}

// fault classifies the error of verify.
func (c *Certificate) fault(err error) CertificateFault {
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	switch {
	case err == nil:
		return CertificateValid
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if time.Now().Before(c.NotBefore) {
			return CertificateNotYet
		}
		return CertificateExpired
	case errors.As(err, &name):
		return CertificateOtherName
	case errors.As(err, &unknown) && c.SelfSigned:
		return CertificateSelfSigned
	case errors.As(err, &unknown):
		return CertificateUnknownCA
	}
	return CertificateBad
}

// certificateTimestamps is the extension with the proofs of Certificate Transparency (RFC 6962, 3.3).
var certificateTimestamps = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// logged reports whether a certificate carries such proofs. It does not verify them: an authority of a company has none at all.
func logged(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(certificateTimestamps) {
			return true
		}
	}
	return false
}
