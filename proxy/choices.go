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
	CheckNone CheckType = iota // nothing
	CheckTCP                   // connects
	CheckTLS                   // a handshake, with the certificate verified for Upstream.Host
)

var checkTypes = []string{CheckNone: "none", CheckTCP: "tcp", CheckTLS: "tls"}

func (c CheckType) String() string { return enum.Name(checkTypes, c) }

// UnmarshalText reads a CheckType.
func (c *CheckType) UnmarshalText(text []byte) error { return enum.Parse(checkTypes, text, c) }

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
