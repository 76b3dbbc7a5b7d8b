package config

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Config is the whole configuration, and the only place where a key is defined. The tags of a field are
//
//	key      its name in the file; with the names above it, joined by dots, also that of the variable: log.level is
//	         L4FWD_LOG_LEVEL
//	default  its value where no source gives one
//	kind     what a text means, where its type does not say: see kinds in values.go
//	allowed  the texts allowed, separated by |
//	min, max the range, both allowed
//	flag     its flag; arg: how --help writes the value
//	doc      what it does, for --help and docs/CONFIG.md
//
// Flags, environment, file, defaults, the output of check and docs/CONFIG.md are all made from them.
type Config struct {
	Upstream string   `key:"upstream" kind:"hostport" flag:"upstream" arg:"HOST:PORT" doc:"The one upstream; short for one entry of upstreams."`
	Listen   []string `key:"listen" kind:"listen" flag:"listen" arg:"ADDR" doc:"Where to accept, IP:PORT, :PORT, or localhost:PORT for 127.0.0.1; no other names. Short for one entry of listeners each. Default: :443."`
	Loops    int      `key:"loops" default:"0" min:"0" max:"1024" flag:"loops" arg:"N" doc:"Event loops. 0: one for each CPU the process may use."`
	Engine   string   `key:"engine" default:"auto" allowed:"auto|uring|epoll|portable" flag:"engine" arg:"NAME" doc:"How connections are served. auto takes the fastest that the kernel and the sandbox allow; the choice and its reason are logged at start and shown by status."`

	Warm int `key:"warm" default:"0" min:"0" max:"10000" flag:"warm" arg:"N" doc:"Connections to the one upstream that are kept ready for clients; short for its warm.connections."`

	Reload string `key:"reload" default:"off" allowed:"off|watch" doc:"watch: the file is loaded again when it changes, as SIGHUP has it done, also where it is put in place by a symbolic link; and again, after 1 s up to 1 min, where what it says could not be put in place for now: a port that is taken, a name that does not resolve. What takes a restart keeps its old value and is named in the log: loops, engine, reload, dns, eip, lifecycle, health, admin, log.format."`

	Listeners []Listener `key:"listeners" doc:"Where to accept clients. Without any, one listener on :443."`
	Upstreams []Upstream `key:"upstreams" doc:"Where connections go. At least one is required, here or as upstream."`

	Timeouts  Timeouts  `key:"timeouts"`
	Keepalive Keepalive `key:"keepalive"`
	Limits    Limits    `key:"limits"`
	DNS       DNS       `key:"dns"`
	EIP       EIP       `key:"eip"`
	Lifecycle Lifecycle `key:"lifecycle"`
	Drain     Drain     `key:"drain"`
	Health    Health    `key:"health"`
	Admin     Admin     `key:"admin"`
	Log       Log       `key:"log"`
}

// Listener is one address to accept clients on.
type Listener struct {
	Name     string `key:"name" kind:"name" doc:"Its name in logs and metrics, and the FileDescriptorName= of the socket that systemd hands over. Default: the address."`
	Address  string `key:"address" kind:"listen" required:"true" doc:"IP:PORT, :PORT, which takes IPv4 and IPv6, or localhost:PORT for 127.0.0.1. Port 0: the kernel chooses one. A socket that systemd hands over has its own address."`
	Upstream string `key:"upstream" doc:"The name of the upstream that serves its clients, where there are no routes. Default: the first of upstreams."`

	AcceptProxy  string   `key:"accept_proxy" default:"off" allowed:"off|optional|required" doc:"Whether clients begin with a PROXY protocol header, version 1 or 2, as a load balancer writes it; the client it names is the one that is judged, counted and logged. off: the first byte is payload. optional: with or without, so whoever reaches the port can claim any source: only where nobody but the load balancer can. required: a client without is refused with proxy_header_missing."`
	AllowSources []string `key:"allow_sources" kind:"cidr" doc:"Who may enter, CIDRs or addresses; others are refused with source_denied. The client's address is that of the PROXY header where one is accepted, else the peer's, which may be the load balancer's. None: all."`
	AllowVPCE    []string `key:"allow_vpce" kind:"vpce" doc:"Ids of the VPC endpoints that clients may come through (PROXY v2, as an AWS NLB tells it), needs accept_proxy; others are refused with vpce_denied. None: all."`
	Routes       []Route  `key:"routes" doc:"Which upstream serves a TLS client, by the host name it asks for (SNI); the first that lists it wins. A client that matches none is refused with sni_unlisted, one without a name with sni_missing, one that speaks no TLS with hello_bad: none of them is ever dialed for. Without routes, one upstream serves all, TLS or not."`
}

// Route sends clients that ask for certain host names to an upstream.
type Route struct {
	SNI      []string `key:"sni" kind:"sni" required:"true" doc:"Host names. *.example.com stands for one label before example.com, as in a certificate: not for example.com, nor for a.b.example.com."`
	Upstream string   `key:"upstream" required:"true" doc:"The name of the upstream that serves them."`
}

// Upstream is one destination.
type Upstream struct {
	Name            string   `key:"name" kind:"name" doc:"Its name in logs and metrics. Default: the host of the address."`
	Address         string   `key:"address" kind:"hostport" required:"true" doc:"HOST:PORT; the host is a DNS name, which is kept resolved, or an IP address."`
	Backups         []string `key:"backups" kind:"hostport" doc:"HOST:PORT each, used only while no primary address is usable, and by a connection that has tried every usable primary. Resolved as the address is."`
	Balance         string   `key:"balance" default:"least_conn" allowed:"least_conn|round_robin|first" doc:"Which address of equal standing a connection gets: the one with the fewest connections, each in turn, or the first. One that was out gets its share back over 30 s."`
	MaxConnections  int      `key:"max_connections" default:"0" min:"0" max:"10000000" doc:"Open connections to this upstream, over all listeners; beyond it a client is refused with limit_upstream. 0: no limit."`
	Connect         Connect  `key:"connect"`
	Check           Check    `key:"check"`
	Outlier         Outlier  `key:"outlier"`
	Warm            Warm     `key:"warm"`
	SourceAddresses []string `key:"source_addresses" kind:"source" doc:"Local IP addresses to connect from, each in turn, for more than about 28,000 connections to one address (net.ipv4.ip_local_port_range tells how many each gives). Only those of the family of the address that is connected to are used. Empty: as the routing table says."`
	OnRemoved       string   `key:"on_removed" default:"keep" kind:"removed" doc:"What becomes of the connections to an address that left the DNS answer: keep, or close_after D, as in close_after 5m, which ends them with address_removed."`
	SendProxy       string   `key:"send_proxy" default:"off" allowed:"off|v1|v2" doc:"The PROXY protocol header that connections to it begin with: it names the client, and with v2 all that a received header told of it (TLVs). Only for an upstream that expects one. A check of type tls sends one too, which names nobody; one of type tcp sends nothing."`
}

// Check is active checking of each address of an upstream.
type Check struct {
	Type     string   `key:"type" default:"tcp" allowed:"none|tcp|tls" doc:"none; tcp: a connection can be made; tls: a handshake as well, with a certificate that is valid for the host of the upstream's address (the certificates of the system, or SSL_CERT_FILE). Nothing else is sent. Backups are checked for the same name, since clients ask them for it."`
	Interval Duration `key:"interval" default:"10s" min:"100ms" max:"24h" doc:"From the end of one check of an address to the next, up to a tenth shorter or longer."`
	Timeout  Duration `key:"timeout" default:"3s" min:"10ms" max:"5m" doc:"How long one check may take."`
	Rise     int      `key:"rise" default:"2" min:"1" max:"1000" doc:"Checks in a row that pass before an address that failed is used again."`
	Fall     int      `key:"fall" default:"3" min:"1" max:"1000" doc:"Checks in a row that fail before an address is not used any more. The first check of an address decides alone."`
}

// Warm keeps connections to an upstream ready.
type Warm struct {
	Connections int      `key:"connections" default:"0" min:"0" max:"10000" doc:"Connections to the upstream that are kept established, so that a client waits for one round trip less. The event loops share them, and each has one at least, so that there are never less than loops (engine portable has no loops); a client gets one of its own loop. They do not count against max_connections. Each takes a file (those of all upstreams together take no more than half of the files that RLIMIT_NOFILE leaves to connections: if more are asked for, fewer are kept, and the log says so), and a place among what the upstream accepts. If one proves dead before the upstream's first byte, what the client sent is sent again on a fresh one, once and up to 16 KiB: harmless for TLS, not for a protocol whose first message must not be seen twice. 0: none."`
	MaxIdle     Duration `key:"max_idle" default:"20s" min:"100ms" max:"1h" doc:"How long one waits before it is replaced. Shorter than the upstream and what lies between keep a connection without a byte."`
}

// Outlier is passive ejection of addresses, by what becomes of connect attempts.
type Outlier struct {
	Failures          int      `key:"failures" default:"5" min:"0" max:"1000000" doc:"Connect attempts in a row that fail before an address is ejected. 0: none is. The last usable address is never ejected."`
	Ejection          Duration `key:"ejection" default:"30s" min:"100ms" max:"24h" doc:"For how long; twice, three times … ten times as long if attempts fail again when it is over. One that connects ends it."`
	MaxEjectedPercent int      `key:"max_ejected_percent" default:"50" min:"0" max:"100" doc:"How many of the primaries, and of the backups, may be ejected at a time; one may, unless it is 0. To have backups take over without a check, 100."`
}

// Connect says how an upstream connection is tried.
type Connect struct {
	Timeout  Duration `key:"timeout" default:"5s" min:"10ms" max:"5m" doc:"How long one connect attempt may take."`
	Attempts int      `key:"attempts" default:"3" min:"1" max:"100" doc:"Connect attempts a connection makes, each at the next address."`
}

// Timeouts end connections on which nothing happens.
type Timeouts struct {
	Preface   Duration `key:"preface" default:"5s" min:"10ms" max:"1h" doc:"How long a client may take for the first bytes, where these decide something."`
	Idle      Duration `key:"idle" default:"1h" min:"1s" max:"720h" doc:"How long a connection may be without a byte either way."`
	HalfClose Duration `key:"half_close" default:"5m" min:"1s" max:"720h" doc:"The same once one side has ended its direction."`
}

// Keepalive is TCP keepalive on both legs.
type Keepalive struct {
	Idle     Duration `key:"idle" default:"60s" min:"1s" max:"9h" doc:"Silence before the first probe, in whole seconds. Keep it below 240s: Azure forgets a connection after 4 min without a packet, an AWS NLB after 350 s."`
	Interval Duration `key:"interval" default:"15s" min:"1s" max:"9h" doc:"Between probes, in whole seconds."`
	Count    int      `key:"count" default:"4" min:"1" max:"127" doc:"Probes without an answer before the connection is given up."`
}

// Limits bound what clients can use up.
type Limits struct {
	MaxConnections int `key:"max_connections" default:"0" min:"0" max:"10000000" doc:"Open connections over all listeners; beyond it a client is refused with limit_connections. 0: what the limit of open files (RLIMIT_NOFILE) allows, at two files a connection."`
	PerSource      int `key:"per_source" default:"0" min:"0" max:"10000000" doc:"Open connections of one client to one listener, counted by its IPv4 address or IPv6 /64; beyond it a client is refused with limit_source. The address is judged as for allow_sources: behind a load balancer without accept_proxy it is the load balancer's. 0: no limit."`
	AcceptRate     int `key:"accept_rate" default:"0" min:"0" max:"1000000" doc:"Clients admitted a second over all listeners, as many at once after a pause; beyond it a client is refused with limit_rate. 0: no limit."`
}

// DNS says how names are resolved.
type DNS struct {
	Servers []string `key:"servers" kind:"resolver" flag:"dns-server" arg:"ADDR" doc:"Resolvers to ask, IP or IP:PORT. None: those of /etc/resolv.conf."`
	MinTTL  Duration `key:"min_ttl" default:"5s" min:"100ms" max:"24h" doc:"An answer is kept at least so long, whatever its TTL."`
	MaxTTL  Duration `key:"max_ttl" default:"5m" min:"100ms" max:"24h" doc:"And at most so long. The last good answer is used for ever when no newer one can be had."`
	Timeout Duration `key:"timeout" default:"2s" min:"10ms" max:"1m" doc:"How long one resolver may take to answer."`
}

// EIP is the Elastic IP address to hold.
type EIP struct {
	Pool           string   `key:"pool" kind:"pool" flag:"eip-pool" arg:"SELECTOR" doc:"The Elastic IP addresses to claim one of: tag:KEY=VALUE, tag-key:KEY, or allocation ids with commas between. Empty: none is claimed, and AWS is not called."`
	Required       bool     `key:"required" default:"true" doc:"Not ready until an address is held, and no start where there can be none, such as off EC2."`
	Release        string   `key:"release" default:"shutdown" allowed:"shutdown|never" doc:"When the address is given back: after the last connection of a drain, or never."`
	VerifyInterval Duration `key:"verify_interval" default:"30s" min:"1s" max:"1h" doc:"How often it is looked whether the address is still held."`
}

// Lifecycle says what of the instance's lifecycle is watched, where eip.pool is set.
type Lifecycle struct {
	ASG  string `key:"asg" default:"auto" allowed:"auto|off" doc:"auto: with eip.pool, an instance of an Auto Scaling group completes its lifecycle hooks (a launch once ready, a termination once drained and the address released), drains when the group terminates it, and holds an address only while it is to be in service, not in a warm pool. All hooks of the group's launches and terminations are completed, also those meant for others. off: nothing of this."`
	Spot string `key:"spot" default:"auto" allowed:"auto|off" doc:"auto: with eip.pool, a Spot interruption notice or rebalance recommendation begins a drain, which ends before the instance is taken away. off: they are ignored."`
}

// Drain is the way to end.
type Drain struct {
	LameDuck Duration `key:"lame_duck" default:"5s" min:"0s" max:"1h" doc:"How long clients are still accepted after readiness ended, so that load balancers notice first."`
	Timeout  Duration `key:"timeout" default:"5m" min:"0s" max:"168h" flag:"drain-timeout" arg:"D" doc:"How long open connections may take to finish, after which they are closed with drain_timeout."`
}

// Health is the port for load balancers and Prometheus.
type Health struct {
	Address string `key:"address" default:":8080" kind:"service" flag:"health" arg:"ADDR" doc:"Where /livez, /readyz and /metrics are served, IP:PORT, :PORT or localhost:PORT: read-only, safe to expose inside a VPC. off: not at all. Ready wants of each upstream an address that is neither failed by its check nor ejected; /readyz?verbose says which are, and why."`
}

// Admin is the port for operators.
type Admin struct {
	Address     string `key:"address" default:"127.0.0.1:9901" kind:"admin" flag:"admin" arg:"ADDR" doc:"Where the status page, the JSON API, actions and pprof are served: a loopback IP:PORT, localhost:PORT, or unix:PATH. off: not at all."`
	AllowRemote bool   `key:"allow_remote" default:"false" doc:"Allows an admin.address that is not loopback. Whoever reaches it can drain the daemon and read its memory."`
}

// Log says what is logged, on stderr.
type Log struct {
	Level  string `key:"level" default:"info" allowed:"debug|info|warn|error" flag:"log-level" arg:"LEVEL" doc:"The least severe level that is logged. The access log has its own switch, log.access, and ignores this one."`
	Format string `key:"format" default:"" allowed:"|json|console" flag:"log-format" arg:"FORMAT" doc:"json, or console for people. Empty: console on a terminal, else json."`
	Access string `key:"access" default:"errors" allowed:"off|errors|all" doc:"Which connections get a line (message \"access\", level info) when they end: none, those that did not end in an ordinary way, or all. Whatever log.level is."`
}

// Duration is a time span as the file writes it: 5s, 1m30s.
type Duration time.Duration

// String writes the shortest form: 1h rather than 1h0m0s.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// writeZero is what parseDuration says of a bare 0.
const writeZero = "write 0s"

// tooLong matches a duration of the right form; one that cannot be read all the same has too large a number.
var tooLong = regexp.MustCompile(`^[-+]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+$`)

// parseDuration reads a duration with a unit. Its error is a *Fault that says what to write instead, without the range.
func parseDuration(text string) (Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		if text == "0" || text == "+0" || text == "-0" {
			return 0, fault("the number %s has no unit", writeZero, text)
		}
		return Duration(d), nil
	}
	if _, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		return 0, fault("the number %s has no unit", "write "+text+"s for seconds, or a unit of ms, s, m, h", text)
	}
	if n, ok := strings.CutSuffix(text, "d"); ok {
		if days, numErr := strconv.ParseUint(n, 10, 16); numErr == nil {
			return 0, fault("%q: there is no unit d", "write "+strconv.FormatUint(days*24, 10)+"h", text)
		}
	}
	if tooLong.MatchString(text) {
		return 0, fault("%s is out of range", "", text)
	}
	return 0, fault("%q is not a duration", "write a number with a unit of ms, s, m, h, like 5s or 1m30s", text)
}
