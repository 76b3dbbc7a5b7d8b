package preface

// Reason says why a client is refused, or what a connection without a complete preface was. The names are those of
// the access log.
type Reason uint8

// None refuses nothing.
const (
	None               Reason = iota
	ProxyHeaderBad            // a PROXY header that is malformed or too long
	ProxyHeaderMissing        // no PROXY header where one is required
	HelloBad                  // no TLS, or a malformed or incomplete ClientHello
	SNIMissing                // a ClientHello without a host name
	PrefaceTimeout            // time ran out after some bytes, or with no load balancer in front
	Probe                     // no byte of payload came: a health check, no fault
)

var reasonText = [...]string{
	None: "", ProxyHeaderBad: "proxy_header_bad", ProxyHeaderMissing: "proxy_header_missing", HelloBad: "hello_bad",
	SNIMissing: "sni_missing", PrefaceTimeout: "preface_timeout", Probe: "probe",
}

// String returns the reason as metrics and logs spell it; None is the empty string.
func (r Reason) String() string {
	if int(r) >= len(reasonText) {
		return "internal"
	}
	return reasonText[r]
}
