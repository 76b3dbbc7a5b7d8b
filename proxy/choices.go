package proxy

import (
	"github.com/l4fwd/l4fwd/proxy/enum"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// The enumerations of Options. Each has a String and an UnmarshalText with the spelling of the configuration; UnmarshalText
// refuses an unknown value with an error that lists the known ones.

// Balance says how the addresses of an upstream share the connections: least_conn, round_robin, first.
type Balance = upstream.Balance

// The choices of Balance.
const (
	LeastConn  = upstream.LeastConn
	RoundRobin = upstream.RoundRobin
	First      = upstream.First
)

// CheckType says what a check of an address does.
type CheckType uint8

// The choices of CheckType.
const (
	CheckNone  CheckType = iota // nothing
	CheckTCP                    // connects
	CheckTLS                    // a handshake, with the certificate verified for Upstream.Host
	CheckHTTPS                  // that, and a GET of Check.Path without a key: any answer passes
)

var checkTypes = []string{CheckNone: "none", CheckTCP: "tcp", CheckTLS: "tls", CheckHTTPS: "https"}

func (c CheckType) String() string { return enum.Name(checkTypes, c) }

// UnmarshalText reads a CheckType.
func (c *CheckType) UnmarshalText(text []byte) error { return enum.Parse(checkTypes, text, c) }

// Admission says whether an upstream must admit this instance's public address before the instance is ready. It needs a check
// of type https, which alone can tell.
type Admission uint8

// The choices of Admission.
const (
	AdmissionStart  Admission = iota // once; later refusals are shown, and do not end readiness
	AdmissionStrict                  // at each check
	AdmissionOff                     // never
)

var admissions = []string{AdmissionStart: "start", AdmissionStrict: "strict", AdmissionOff: "off"}

func (a Admission) String() string { return enum.Name(admissions, a) }

// UnmarshalText reads an Admission.
func (a *Admission) UnmarshalText(text []byte) error { return enum.Parse(admissions, text, a) }

// SendProxy says which PROXY header the connections to an upstream begin with. Its value is the version.
type SendProxy uint8

// The choices of SendProxy.
const (
	SendProxyOff SendProxy = iota
	SendProxyV1
	SendProxyV2
)

var sendProxies = []string{SendProxyOff: "off", SendProxyV1: "v1", SendProxyV2: "v2"}

func (s SendProxy) String() string { return enum.Name(sendProxies, s) }

// UnmarshalText reads a SendProxy.
func (s *SendProxy) UnmarshalText(text []byte) error { return enum.Parse(sendProxies, text, s) }

// AccessLog says which connections are logged when they end.
type AccessLog uint8

// The choices of AccessLog.
const (
	AccessOff    AccessLog = iota
	AccessErrors           // those that did not end as expected, see relay.Reason.Expected
	AccessAll
)

var accessLogs = []string{AccessOff: "off", AccessErrors: "errors", AccessAll: "all"}

func (a AccessLog) String() string { return enum.Name(accessLogs, a) }

// UnmarshalText reads an AccessLog.
func (a *AccessLog) UnmarshalText(text []byte) error { return enum.Parse(accessLogs, text, a) }
