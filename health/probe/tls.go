package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// TLSRequest says with whom to make a handshake.
type TLSRequest struct {
	Addr       netip.AddrPort
	ServerName string         // a DNS name or an IP address: the certificate must be valid for it
	Roots      *x509.CertPool // nil: those of the system
	First      []byte         // is sent before the handshake: a PROXY header
	Hello      Hello          // how the ClientHello is sent
	Unverified bool           // any certificate will do. For a diagnosis only, which sends nothing secret

	protos []string // to agree on (ALPN)
}

// TLSResult is what a handshake found.
type TLSResult struct {
	TCP         TCPResult
	Took        time.Duration // of the handshake
	Version     string        // such as TLS 1.3; empty: the handshake did not get that far
	Cipher      string
	Certificate *Certificate // the server's, also one that is not valid; nil: none came
}

// TLS makes a handshake, with the certificate verified, and closes the connection. After the handshake nothing is sent.
func TLS(ctx context.Context, r TLSRequest) (TLSResult, error) {
	c, out, err := handshake(ctx, r)
	if err != nil {
		return out, err
	}
	_ = c.NetConn().Close() // without close_notify: it carried nothing
	return out, nil
}

// handshake connects and makes a handshake. The caller closes the connection.
func handshake(ctx context.Context, r TLSRequest) (*tls.Conn, TLSResult, error) {
	var out TLSResult
	raw, tcp, err := connect(ctx, r.Addr)
	out.TCP = tcp
	if err != nil {
		return nil, out, err
	}
	c, err := out.secure(ctx, raw, r)
	if err != nil {
		_ = raw.Close() // it failed already
		return nil, out, err
	}
	return c, out, nil
}

// secure makes the handshake on a connection.
func (t *TLSResult) secure(ctx context.Context, raw net.Conn, r TLSRequest) (*tls.Conn, error) {
	begun := time.Now()
	defer func() { t.Took = time.Since(begun) }()
	if len(r.First) > 0 {
		if _, err := raw.Write(r.First); err != nil {
			return nil, explain("send the PROXY header", err, begun)
		}
	}
	var invalid error
	settings := t.settings(r, &invalid)
	c := tls.Client(r.Hello.prepare(raw, settings), settings)
	err := c.HandshakeContext(ctx)
	switch {
	case invalid != nil:
		return nil, fmt.Errorf("tls handshake with %s: %w", r.ServerName, invalid)
	case err != nil:
		return nil, explain("tls handshake with "+r.ServerName, err, begun)
	}
	s := c.ConnectionState()
	t.Version, t.Cipher = tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite)
	return c, nil
}

// settings are those of the handshake. They note the certificate in t, and what is wrong with it in invalid.
func (t *TLSResult) settings(r TLSRequest, invalid *error) *tls.Config {
	return &tls.Config{
		ServerName: r.ServerName,
		NextProtos: r.protos,
		// The certificate is verified below, as crypto/tls would do it, so that an invalid one can be shown.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			err := verify(s.PeerCertificates, r)
			t.Certificate = certificate(s.PeerCertificates[0], err)
			if err != nil && !r.Unverified {
				*invalid = &tls.CertificateVerificationError{UnverifiedCertificates: s.PeerCertificates, Err: err}
			}
			return *invalid
		},
	}
}

// verify checks a chain that begins with the server's certificate.
func verify(chain []*x509.Certificate, r TLSRequest) error {
	o := x509.VerifyOptions{DNSName: r.ServerName, Roots: r.Roots, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	return err
}
