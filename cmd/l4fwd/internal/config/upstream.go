package config

import (
	"net/netip"
	"time"
)

// Upstream is one destination.
type Upstream struct {
	Name            string // unique
	Address         HostPort
	Addresses       []HostPort // beside Address
	Backups         []HostPort
	Balance         Balance
	MaxConnections  int // 0: no limit
	Connect         Connect
	Check           Check
	Admission       Admission
	Required        bool
	Outlier         Outlier
	Warm            Warm
	SourceAddresses []netip.Addr // nil: as the routing table says
	OnRemoved       Removed
	SendProxy       SendProxy
}

// keys are its keys, bound to u.
func (u *Upstream) keys() []*key {
	return []*key{
		value("name", &u.Name, parseName, asText[string],
			"Its name in logs and metrics. Default: the host of the address."),
		value("address", &u.Address, ParseHostPort, HostPort.String,
			"HOST:PORT. The host is a DNS name, which is kept resolved, or an IP address.").mandatory(),
		values("addresses", &u.Addresses, ParseHostPort, HostPort.String,
			"More HOST:PORT of equal standing: all share the connections, as `balance` says.").
			note("Their names are resolved as that of `address` is, and a check over TLS asks each for the host of `address`."),
		values("backups", &u.Backups, ParseHostPort, HostPort.String,
			"HOST:PORT each, used while no primary address is usable, and by a connection that has tried every usable primary.").
			note("Their names are resolved as that of the address is."),
		choice("balance", &u.Balance, LeastConn,
			"Which address of equal standing a connection gets: the one with the fewest connections, each in turn, or the first.",
			LeastConn, RoundRobin, First).
			note("An address that was out of use gets its share back over 30 s."),
		number("max_connections", &u.MaxConnections, 0, 0, 10_000_000,
			"Open connections to this upstream over all listeners; beyond it a client is refused with `limit_upstream`. 0: no limit."),
		section("connect", u.Connect.keys()),
		section("check", u.Check.keys()),
		choice("admission", &u.Admission, AdmissionStart,
			"With check.type https: whether a far end that refuses this instance's address (HTTP 403 of Azure's firewall) makes it not ready.",
			AdmissionStart, AdmissionStrict, AdmissionOff).
			note("`start`: the instance is not ready until the far end has admitted its address once; later refusals are a warning in status, metrics and log. " +
				"`strict`: later refusals end readiness, too. `off`: neither. A new Elastic IP begins anew."),
		truth("required", &u.Required, false,
			"Not ready while this very upstream has no usable address. Otherwise one usable upstream of all is enough."),
		section("outlier", u.Outlier.keys()),
		section("warm", u.Warm.keys()),
		values("source_addresses", &u.SourceAddresses, parseSource, netip.Addr.String,
			"Local IP addresses to connect from, each in turn, for more than about 28,000 connections to one address. Empty: as the routing table says.").
			note("`net.ipv4.ip_local_port_range` sets how many connections each address gives. Only addresses of the family of the upstream's address are used."),
		value("on_removed", &u.OnRemoved, parseRemoved, Removed.String,
			"What becomes of the connections to an address that left the DNS answer: keep, or close_after D, as in `close_after 5m`.").or("keep").
			note("`close_after` ends them with `address_removed`."),
		choice("send_proxy", &u.SendProxy, SendProxyOff,
			"The PROXY protocol header that connections to it begin with. Only for an upstream that expects one.",
			SendProxyOff, SendProxyV1, SendProxyV2).
			note("It names the client, and with v2 passes on all that a received header had (TLVs). A check of type tls or https sends one, too, which names " +
				"nobody; a check of type tcp sends nothing."),
	}
}

// Connect says how an upstream connection is tried.
type Connect struct {
	Timeout  time.Duration
	Attempts int
	Stagger  time.Duration // 0: one attempt after the other
}

// keys are its keys, bound to c.
func (c *Connect) keys() []*key {
	return []*key{
		duration("timeout", &c.Timeout, "5s", "10ms", "5m",
			"How long one connect attempt may take."),
		number("attempts", &c.Attempts, 3, 1, 100,
			"How many addresses a connection tries at most, each once. With one address there is one attempt."),
		duration("stagger", &c.Stagger, "250ms", "0s", "5m",
			"An attempt without an answer for this long gets the next address tried beside it; the first to connect wins. 0s: one after the other."),
	}
}

// Check is active checking of each address of an upstream.
type Check struct {
	Type              CheckType
	Interval, Timeout time.Duration
	Rise, Fall        int
	Path              string // of a check over HTTPS
}

// keys are its keys, bound to c.
func (c *Check) keys() []*key {
	return []*key{
		choice("type", &c.Type, CheckTCP,
			"none. tcp: a connection can be made. tls: a TLS handshake as well, with a valid certificate. https: a GET of check.path as well, without a key.",
			CheckNone, CheckTCP, CheckTLS, CheckHTTPS).
			note("The certificate must be valid for the host of the upstream's address, by the certificates of the system or SSL_CERT_FILE, which a process reads once: after a change run l4fwd upgrade. Backups are checked " +
				"for the same name, since clients ask them for it. Any answer to the GET passes, 401 first of all; `admission` judges a refusal."),
		duration("interval", &c.Interval, "10s", "100ms", "24h",
			"From the end of one check of an address to the next, up to a tenth shorter or longer."),
		duration("timeout", &c.Timeout, "3s", "10ms", "5m",
			"How long one check may take."),
		number("rise", &c.Rise, 2, 1, 1000,
			"Checks in a row that pass before an address that failed is used again."),
		number("fall", &c.Fall, 3, 1, 1000,
			"Checks in a row that fail before an address is no longer used. The first check of an address decides alone."),
		value("path", &c.Path, parsePath, asText[string],
			"What a check of type https asks for.").or(defaultPath),
	}
}

// defaultPath is the list of models, which Azure OpenAI answers with 401 to a request without a key.
const defaultPath = "/openai/v1/models"

// Outlier is passive ejection of addresses, by how connect attempts end.
type Outlier struct {
	Failures          int // 0: no address is ejected
	Ejection          time.Duration
	MaxEjectedPercent int
}

// keys are its keys, bound to o.
func (o *Outlier) keys() []*key {
	return []*key{
		number("failures", &o.Failures, 5, 0, 1_000_000,
			"Connect attempts in a row that fail before an address is ejected. 0: none is. The last usable address is never ejected."),
		duration("ejection", &o.Ejection, "30s", "100ms", "24h",
			"For how long. Twice, three times … ten times as long if attempts fail again when it is over. One that connects ends it."),
		number("max_ejected_percent", &o.MaxEjectedPercent, 50, 0, 100,
			"How many of the primaries, and of the backups, may be ejected at a time; one may, unless it is 0.").
			note("100 lets backups take over without a check."),
	}
}

// Warm keeps connections to an upstream ready.
type Warm struct {
	Connections int // 0: none
	MaxIdle     time.Duration
}

// maxWarm bounds warm.connections.
const maxWarm = 10_000

// keys are its keys, bound to w.
func (w *Warm) keys() []*key {
	return []*key{
		number("connections", &w.Connections, 0, 0, maxWarm,
			"Connections to the upstream that are kept established, so that a client waits for one round trip less. 0: none.").
			note("The event loops share them, and each loop has at least one (engine portable has no loops). A client gets one of its own loop. " +
				"They do not count against `max_connections`. Each takes a file; those of all upstreams together take at most half of the files that " +
				"RLIMIT_NOFILE leaves to connections, and the log says so if fewer are kept than asked for. Each also takes a place among the " +
				"connections that the upstream accepts.").
			note("If one proves dead before the upstream's first byte, the client's bytes are sent again on a fresh connection, once and up to 16 KiB. " +
				"That is harmless for TLS, but not for a protocol whose first message must not be seen twice."),
		duration("max_idle", &w.MaxIdle, "20s", "100ms", "1h",
			"How long one waits before it is replaced. Keep it shorter than anything on the way keeps a connection without a byte."),
	}
}
