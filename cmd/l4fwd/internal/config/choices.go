package config

import (
	"strings"
	"time"
)

// The choices of keys that have a few values. Each is the text that a file has; a loaded configuration holds no other.

// Engine is how connections are served.
type Engine string

// The engines.
const (
	EngineAuto     Engine = "auto"
	EngineUring    Engine = "uring"
	EngineEpoll    Engine = "epoll"
	EnginePortable Engine = "portable"
)

// Steering says which loop accepts a client.
type Steering string

// The choices of steering.
const (
	SteeringOff Steering = "off"
	SteeringCPU Steering = "cpu"
)

// ReloadMode says what loads the file again besides SIGHUP.
type ReloadMode string

// The reload modes.
const (
	ReloadOff   ReloadMode = "off"
	ReloadWatch ReloadMode = "watch"
)

// AcceptProxy says whether clients begin with a PROXY protocol header.
type AcceptProxy string

// The choices of accept_proxy.
const (
	AcceptProxyOff      AcceptProxy = "off"
	AcceptProxyOptional AcceptProxy = "optional"
	AcceptProxyRequired AcceptProxy = "required"
)

// SendProxy is the PROXY protocol header that connections to an upstream begin with.
type SendProxy string

// The choices of send_proxy.
const (
	SendProxyOff SendProxy = "off"
	SendProxyV1  SendProxy = "v1"
	SendProxyV2  SendProxy = "v2"
)

// Balance is how an address is chosen among those of equal standing.
type Balance string

// The balances.
const (
	LeastConn  Balance = "least_conn"
	RoundRobin Balance = "round_robin"
	First      Balance = "first"
)

// CheckType is how an address is checked.
type CheckType string

// The types of checks.
const (
	CheckNone  CheckType = "none"
	CheckTCP   CheckType = "tcp"
	CheckTLS   CheckType = "tls"
	CheckHTTPS CheckType = "https"
)

// Admission says what an upstream that refuses this instance's address does to readiness.
type Admission string

// The choices of admission.
const (
	AdmissionStart  Admission = "start"
	AdmissionStrict Admission = "strict"
	AdmissionOff    Admission = "off"
)

// Release says when the Elastic IP is given back.
type Release string

// The choices of eip.release.
const (
	ReleaseShutdown Release = "shutdown"
	ReleaseNever    Release = "never"
)

// Following says whether something outside is watched and acted on.
type Following string

// The choices of lifecycle.asg and lifecycle.spot.
const (
	FollowAuto Following = "auto"
	FollowOff  Following = "off"
)

// LogLevel is the least severe level that is logged.
type LogLevel string

// The levels.
const (
	LevelDebug LogLevel = "debug"
	LevelInfo  LogLevel = "info"
	LevelWarn  LogLevel = "warn"
	LevelError LogLevel = "error"
)

// LogFormat is how log lines are written.
type LogFormat string

// The formats.
const (
	FormatAuto    LogFormat = "" // console on a terminal, else JSON
	FormatJSON    LogFormat = "json"
	FormatConsole LogFormat = "console"
)

// AccessLog says which connections get a line in the access log.
type AccessLog string

// The choices of log.access.
const (
	AccessOff    AccessLog = "off"
	AccessErrors AccessLog = "errors"
	AccessAll    AccessLog = "all"
)

// Removed says what becomes of the connections to an address that left the DNS answer. The zero value keeps them.
type Removed struct {
	Close bool
	After time.Duration
}

// String is the choice as a file has it.
func (r Removed) String() string {
	if !r.Close {
		return "keep"
	}
	return "close_after " + formatDuration(r.After)
}

// maxCloseAfter bounds upstreams[].on_removed.
const maxCloseAfter = 720 * time.Hour

// parseRemoved reads keep, or close_after and a duration.
func parseRemoved(text string) (Removed, error) {
	const allowed = "write keep, or close_after and a duration from 0s to 720h, like close_after 5m"
	if text == "keep" {
		return Removed{}, nil
	}
	rest, ok := strings.CutPrefix(text, "close_after")
	if !ok || rest == "" {
		return Removed{}, fault("%q is not a choice", allowed, text)
	}
	// Whoever quotes "close_after: 5m" means the same.
	d, err := parseDuration(strings.TrimSpace(strings.TrimPrefix(rest, ":")))
	if err != nil {
		return Removed{}, fault("%q: %s", allowed, text, asFault(err).What)
	}
	if d < 0 || d > maxCloseAfter {
		return Removed{}, fault("%q: %s is out of range", allowed, text, formatDuration(d))
	}
	return Removed{Close: true, After: d}, nil
}
