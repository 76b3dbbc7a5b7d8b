package config

import (
	"net/netip"
	"time"

	"github.com/l4fwd/l4fwd/eip"
)

// Timeouts end connections on which nothing happens.
type Timeouts struct {
	Preface, Idle, HalfClose time.Duration
}

// keys are its keys, bound to t.
func (t *Timeouts) keys() []*key {
	return []*key{
		duration("preface", &t.Preface, "5s", "10ms", "1h",
			"How long a client may take for its first bytes, where these decide something (PROXY header, routes)."),
		duration("idle", &t.Idle, "1h", "1s", "720h",
			"How long a connection may last without a byte in either direction."),
		duration("half_close", &t.HalfClose, "5m", "1s", "720h",
			"The same, after one side has ended its direction."),
	}
}

// Keepalive is TCP keepalive on both legs. The times are whole seconds.
type Keepalive struct {
	Idle, Interval time.Duration
	Count          int
	UserTimeout    time.Duration // 0: Idle + Interval × Count
}

// keys are its keys, bound to k.
func (k *Keepalive) keys() []*key {
	return []*key{
		duration("idle", &k.Idle, "60s", "1s", "9h",
			"Silence before the first probe, in whole seconds. Keep it below 240s.").
			note("Azure forgets a connection after 4 min without a packet, an AWS NLB after 350 s."),
		duration("interval", &k.Interval, "15s", "1s", "9h",
			"Time between probes, in whole seconds."),
		number("count", &k.Count, 4, 1, 127,
			"Probes without an answer before the connection is given up."),
		duration("user_timeout", &k.UserTimeout, "0s", "0s", "24h",
			"How long sent bytes may stay unacknowledged before a peer counts as lost. 0s: idle + interval × count.").
			note("l4fwd measures it itself, up to a quarter longer. The kernel's TCP_USER_TIMEOUT would also end a peer that does not read but answers."),
	}
}

// Limits bound what clients can use up. 0 is no limit, or one that follows from the machine.
type Limits struct {
	MaxConnections, PerSource, AcceptRate int
	Buffered                              int64 // bytes
}

// keys are its keys, bound to l.
func (l *Limits) keys() []*key {
	return []*key{
		number("max_connections", &l.MaxConnections, 0, 0, 10_000_000,
			"Open connections over all listeners; beyond it a client is refused with `limit_connections`. 0: as many as the limit of open files allows.").
			note("A connection takes two files of RLIMIT_NOFILE. A larger number than the limit allows is lowered, with a warning in the log."),
		number("per_source", &l.PerSource, 0, 0, 10_000_000,
			"Open connections of one client to one listener; beyond it a client is refused with `limit_source`. 0: no limit.").
			note("A client is an IPv4 address or an IPv6 /64, judged as for `allow_sources`: behind a load balancer without `accept_proxy` it is the load balancer."),
		number("accept_rate", &l.AcceptRate, 0, 0, 1_000_000,
			"Clients admitted a second over all listeners; beyond it a client is refused with `limit_rate`. 0: no limit.").
			note("After a pause as many clients at once are admitted as in a second."),
		size("buffered", &l.Buffered, "0",
			"Bytes held for peers that do not read, the kernel's included; beyond it those that have not read for longest end with `limit_memory`. 0: follows from the machine.").
			note("A number of bytes, or one with a unit: `512MiB`, `2GiB`. 0 derives it from `net.ipv4.tcp_mem` and the memory limit of the cgroup."),
	}
}

// DNS says how names are resolved.
type DNS struct {
	Servers                 []netip.AddrPort // nil: those of /etc/resolv.conf
	MinTTL, MaxTTL, Timeout time.Duration
}

// keys are its keys, bound to d.
func (d *DNS) keys() []*key {
	return []*key{
		values("servers", &d.Servers, parseResolver, netip.AddrPort.String,
			"Resolvers to ask, IP or IP:PORT. None: those of /etc/resolv.conf.").withFlag("dns-server", "ADDR"),
		duration("min_ttl", &d.MinTTL, "5s", "100ms", "24h",
			"An answer is kept at least this long, whatever its TTL."),
		duration("max_ttl", &d.MaxTTL, "5m", "100ms", "24h",
			"An answer is kept at most this long. The last good one is used for as long as no newer one can be had."),
		duration("timeout", &d.Timeout, "2s", "10ms", "1m",
			"How long one resolver may take to answer."),
	}
}

// EIP is the Elastic IP address to hold.
type EIP struct {
	Pool           eip.Selector // the zero value: none is claimed
	Required       bool
	Release        Release
	VerifyInterval time.Duration
}

// Wanted reports whether an address is to be held at all.
func (e EIP) Wanted() bool { return e.Pool.String() != "" }

// keys are its keys, bound to e.
func (e *EIP) keys() []*key {
	return []*key{
		value("pool", &e.Pool, parsePool, eip.Selector.String,
			"The Elastic IPs to claim one of: tag:KEY=VALUE, tag-key:KEY, or allocation ids with commas between. Empty: none is claimed, and AWS is not called.").
			or("").withFlag("eip-pool", "SELECTOR"),
		truth("required", &e.Required, true,
			"Not ready until an address is held, and no start where there can be none, such as off EC2."),
		choice("release", &e.Release, ReleaseShutdown,
			"When the address is given back: after the last connection of a drain, or never.", ReleaseShutdown, ReleaseNever),
		duration("verify_interval", &e.VerifyInterval, "30s", "1s", "1h",
			"How often l4fwd checks that the address is still held."),
	}
}

// Lifecycle says which parts of the instance's lifecycle are followed, where eip.pool is set.
type Lifecycle struct {
	ASG, Spot Following
}

// keys are its keys, bound to l.
func (l *Lifecycle) keys() []*key {
	return []*key{
		choice("asg", &l.ASG, FollowAuto,
			"auto: with `eip.pool`, an instance of an Auto Scaling group completes lifecycle hooks and drains when the group ends it. off: it does not.",
			FollowAuto, FollowOff).
			note("A launch hook is completed once the instance is ready, a termination hook once it has drained and released the address. An address is held " +
				"only while the instance is to be in service, not in a warm pool. All hooks of the group's launches and terminations are completed, those " +
				"meant for others too."),
		choice("spot", &l.Spot, FollowAuto,
			"auto: with `eip.pool`, a Spot interruption notice or rebalance recommendation begins a drain. off: they are ignored.",
			FollowAuto, FollowOff).
			note("The drain ends before the instance is taken away."),
	}
}

// Drain is the way to end.
type Drain struct {
	LameDuck, Timeout time.Duration
}

// keys are its keys, bound to d.
func (d *Drain) keys() []*key {
	return []*key{
		duration("lame_duck", &d.LameDuck, "5s", "0s", "1h",
			"How long clients are still accepted after readiness ended, so that load balancers notice first."),
		duration("timeout", &d.Timeout, "5m", "0s", "168h",
			"How long open connections may take to finish. Then they are closed with `drain_timeout`.").withFlag("drain-timeout", "D"),
	}
}

// Health is the port for load balancers and Prometheus.
type Health struct{ Address Endpoint }

// keys are its keys, bound to h.
func (h *Health) keys() []*key {
	return []*key{
		value("address", &h.Address, parseService, Endpoint.String,
			"Where /livez, /readyz and /metrics are served: IP:PORT, :PORT or localhost:PORT. off: not at all. Read-only, safe to expose inside a VPC.").
			or(":8080").withFlag("health", "ADDR").
			note("`/readyz?verbose` lists the conditions of readiness, and the addresses of upstreams that are in no good state."),
	}
}

// Admin is the port for operators.
type Admin struct {
	Address     Endpoint
	AllowRemote bool
}

// keys are its keys, bound to a.
func (a *Admin) keys() []*key {
	return []*key{
		value("address", &a.Address, ParseAdmin, Endpoint.String,
			"Where the status page, the JSON API, actions and pprof are served: a loopback IP:PORT, localhost:PORT, or unix:PATH. off: not at all.").
			or("127.0.0.1:9901").withFlag("admin", "ADDR"),
		truth("allow_remote", &a.AllowRemote, false,
			"Allows an `admin.address` that is not loopback. Whoever reaches it can drain the daemon and read its memory."),
	}
}

// Log says what is logged, on stderr.
type Log struct {
	Level    LogLevel
	Format   LogFormat
	Access   AccessLog
	Starts   bool
	Progress time.Duration // 0: no such lines
}

// keys are its keys, bound to l.
func (l *Log) keys() []*key {
	return []*key{
		choice("level", &l.Level, LevelInfo,
			"The least severe level that is logged. The access log ignores it.",
			LevelDebug, LevelInfo, LevelWarn, LevelError).withFlag("log-level", "LEVEL"),
		choice("format", &l.Format, FormatAuto,
			"json, or console for people: key=value, without empty fields, in colour on a terminal unless NO_COLOR is set. Empty: console on a terminal, else json.",
			FormatAuto, FormatJSON, FormatConsole).withFlag("log-format", "FORMAT").fixed(),
		choice("access", &l.Access, AccessErrors,
			"Which connections get a line when they end: none, those that ended in no ordinary way, or all. Whatever `log.level` is.",
			AccessOff, AccessErrors, AccessAll).
			note("The message of such a line is \"access\", its level info."),
		truth("starts", &l.Starts, false,
			"Whether a connection gets a line in the access log when it begins, too."),
		duration("progress", &l.Progress, "0s", "0s", "24h",
			"How often a connection that lasts gets a line with its bytes so far. 0s: never."),
	}
}
