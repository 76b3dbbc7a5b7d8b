package preface

import (
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

const (
	extServerName = 0
	nameTypeHost  = 0
	maxExtensions = 256 // more than any client has; bounds the search for doubles
)

// readName takes the host name from the complete ClientHello message. With Encrypted ClientHello it is the outer name, which is
// not encrypted.
func (p *Parser) readName(message []byte) Verdict {
	name, ok := serverName(message)
	switch {
	case !ok:
		return refuse(HelloBad, "a malformed ClientHello")
	case name == nil:
		return refuse(SNIMissing, "a ClientHello without a host name")
	}
	host, fault := normalize(string(name))
	if fault != "" {
		return refuse(HelloBad, "a host name that is none")
	}
	p.Result.SNI = host
	return Verdict{Skip: p.header}
}

// serverName returns the host name as sent, nil if there is none. ok reports whether the message is well formed, as far as is
// needed to be sure that a server reads the same name.
func serverName(message []byte) (name []byte, ok bool) {
	s := cryptobyte.String(message)
	var body, session, suites, compression, extensions cryptobyte.String
	if !s.Skip(1) || !s.ReadUint24LengthPrefixed(&body) ||
		!body.Skip(2+32) || !body.ReadUint8LengthPrefixed(&session) ||
		!body.ReadUint16LengthPrefixed(&suites) || len(suites)%2 != 0 || !body.ReadUint8LengthPrefixed(&compression) {
		return nil, false
	}
	if body.Empty() { // a client from before extensions
		return nil, true
	}
	if !body.ReadUint16LengthPrefixed(&extensions) || !body.Empty() {
		return nil, false
	}
	return nameAmong(extensions)
}

// nameAmong returns the host name of the extension server_name, nil if it is not there. ok is false if an extension is malformed or
// there twice.
func nameAmong(extensions cryptobyte.String) (name []byte, ok bool) {
	var seen [maxExtensions]uint16
	for n := 0; !extensions.Empty(); n++ {
		var kind uint16
		var data cryptobyte.String
		if n == maxExtensions || !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&data) {
			return nil, false
		}
		if slices.Contains(seen[:n], kind) {
			return nil, false
		}
		seen[n] = kind
		if kind == extServerName {
			if name, ok = hostName(data); !ok {
				return nil, false
			}
		}
	}
	return name, true
}

// hostName reads the server_name extension (RFC 6066, section 3), which has one host name at most; nil: it has none.
func hostName(data cryptobyte.String) (name []byte, ok bool) {
	var list cryptobyte.String
	if data.Empty() {
		return nil, true // as a server writes it; a client that does means no name
	}
	if !data.ReadUint16LengthPrefixed(&list) || !data.Empty() {
		return nil, false
	}
	for !list.Empty() {
		var kind uint8
		var one cryptobyte.String
		if !list.ReadUint8(&kind) || !list.ReadUint16LengthPrefixed(&one) || one.Empty() {
			return nil, false
		}
		if kind != nameTypeHost {
			continue
		}
		if name != nil {
			return nil, false
		}
		name = one
	}
	return name, true
}

// hint guesses the protocol of a client that does not speak TLS.
func hint(b []byte) string {
	switch {
	case len(b) >= 5 && (begins(b, v1Signature) || begins(b, v2Signature)):
		return "no TLS but a PROXY header, which accept_proxy would have to allow (or a second one)"
	case b[0]&0x80 != 0 && len(b) > 2 && b[2] == clientHello:
		return "no TLS but SSL 2.0, or the hello of a client that old"
	case b[0] == 21:
		return "a TLS alert in place of a ClientHello"
	case strings.HasPrefix(string(b[:min(len(b), 4)]), "SSH-"):
		return "no TLS but SSH"
	case plainHTTP(b):
		return "no TLS but HTTP: the client's address should begin with https"
	}
	return "no TLS"
}

// plainHTTP reports whether b begins like a request of HTTP without TLS.
func plainHTTP(b []byte) bool {
	for _, method := range [...]string{"GET ", "HEAD", "POST", "PUT ", "DELE", "CONN", "OPTI", "PATC", "PRI "} {
		if len(b) >= 4 && string(b[:4]) == method {
			return true
		}
	}
	return false
}
