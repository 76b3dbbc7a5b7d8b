package main

import (
	"slices"
	"time"

	"github.com/l4fwd/l4fwd/bench/load"
	"github.com/l4fwd/l4fwd/bench/peer"
	"github.com/l4fwd/l4fwd/bench/report"
)

// scenario is a load and how its figures are made.
type scenario struct {
	report.Scenario
	groups []load.Group
	// unit is by what the proxy's CPU is divided in a window: exchanges and messages count as one, bulk by the GB.
	perGB bool
	// fresh, if set, runs instead of a window, on a proxy that was started for it.
	fresh func(b *bench, p process, s *report.Sample) error
	// fewer is how much fewer repetitions it gets than the others.
	fewer int
	// veth says that a network of real packets makes a difference to it.
	veth bool
	// net is the only network that it runs over, and nothing else does there; "" for any other.
	net string
	// variant is the variant of relays that takes part beside the ordinary peers; none takes part anywhere else.
	variant string
	// alone says that only relays of the variant take part.
	alone bool
	// beside is the peer that targets compare with beside HAProxy: it gets all repetitions.
	beside string
	// allInQuick says that with -quick, too, it is run by every peer.
	allInQuick bool
}

const (
	frame     = 16 << 20 // bytes of a bulk frame; the check at its border costs nothing
	idleConns = 9000     // 18,000 fds in a proxy, of the 20,000 a process usually has at most
)

var (
	throughput = func(unit string) report.Metric { return report.Metric{Name: "throughput", Unit: unit, Higher: true} }
	cpu        = func(unit string) report.Metric { return report.Metric{Name: "cpu", Unit: unit} }
	p50        = report.Metric{Name: "p50", Unit: "µs"}
	p99        = report.Metric{Name: "p99", Unit: "µs"}
	// ksoftirqd stands beside the proxy's CPU, since one may be cheaper by leaving more to the kernel's own threads.
	ksoftirqd = report.Metric{Name: "ksoftirqd", Unit: "s/GB", Plain: true}
	// waits and preempts are context switches for each operation: of a thread that has nothing to do, and of one that would go on.
	waits    = report.Metric{Name: "waits", Plain: true}
	preempts = report.Metric{Name: "preempts", Plain: true}
	// single is what is shown of operations that count one by one.
	single = []report.Metric{throughput("/s"), cpu("µs"), p50, p99, waits, preempts}
)

var scenarios = []scenario{
	{
		Scenario: report.Scenario{Name: "bulk_down", Title: "4 connections download without a pause.",
			Metrics: []report.Metric{throughput("GB/s"), cpu("s/GB"), ksoftirqd}},
		groups: []load.Group{{Kind: load.Bulk, Conns: 4, Up: 32, Down: frame}}, perGB: true, veth: true, allInQuick: true,
	}, {
		Scenario: report.Scenario{Name: "bulk_up", Title: "4 connections upload without a pause.",
			Metrics: []report.Metric{throughput("GB/s"), cpu("s/GB"), ksoftirqd}},
		groups: []load.Group{{Kind: load.Bulk, Conns: 4, Up: frame, Down: 32}}, perGB: true, veth: true,
	}, {
		Scenario: report.Scenario{Name: "conn_rate", Title: "Connect, send 1 KiB, receive 1 KiB, close (the client first); 32 at once. Latency is that of all of it.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Exchange, Conns: 32, Reconnect: true, Up: 1024, Down: 1024}}, veth: true, allInQuick: true,
	}, {
		Scenario: report.Scenario{Name: "conn_reset", Title: "The same, but the client ends its connection by a reset once it has the answer.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Exchange, Conns: 32, Reconnect: true, Abort: true, Up: 1024, Down: 1024}}, veth: true,
	}, {
		Scenario: report.Scenario{Name: "conn_rate_log", Title: "conn_rate with a line in a file for each connection: l4fwd's access log, HAProxy's tcplog.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Exchange, Conns: 32, Reconnect: true, Up: 1024, Down: 1024}}, variant: peer.Log, alone: true,
	}, {
		Scenario: report.Scenario{Name: "conn_reset_log", Title: "conn_reset with a line in a file for each connection.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Exchange, Conns: 32, Reconnect: true, Abort: true, Up: 1024, Down: 1024}}, variant: peer.Log, alone: true,
	}, {
		Scenario: report.Scenario{Name: "low_conns", Title: "1,000 connections a second, no more, each as in conn_rate: what a relay costs that has time.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Exchange, Conns: 256, Reconnect: true, Up: 1024, Down: 1024, Every: time.Millisecond}}, fewer: 2,
	}, {
		Scenario: report.Scenario{Name: "low_messages", Title: "20,000 exchanges of 200 bytes each way a second, no more, over 100 connections.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Exchange, Conns: 100, Up: 200, Down: 200, Every: 50 * time.Microsecond}}, fewer: 2,
	}, {
		Scenario: report.Scenario{Name: "sni_rate", Title: "Connect, send a ClientHello of a TLS client (no handshake follows), receive 1 KiB, close (the client first); 32 at once. l4fwd-…-sni routes it by its host name, the others do not look at it.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Exchange, Conns: 32, Reconnect: true, Hello: peer.RoutedName, Down: 1024}}, variant: peer.SNI,
	}, {
		Scenario: report.Scenario{Name: "tls_python", Title: "Connect, resume a TLS session, send 1 KiB, receive 1 KiB, close without close_notify, as Python's requests does; 16 at once. Latency is up to the answer.",
			Metrics: single},
		groups: []load.Group{{Kind: load.TLS, Conns: 16, Up: 1024, Down: 1024, Ending: load.LikePython}}, net: tlsName,
	}, {
		Scenario: report.Scenario{Name: "tls_node", Title: "The same, but the client ends with close_notify and FIN, and waits for the origin's, as Node's socket.end() does. Latency is up to then.",
			Metrics: single},
		groups: []load.Group{{Kind: load.TLS, Conns: 16, Up: 1024, Down: 1024, Ending: load.LikeNode}}, net: tlsName,
	}, {
		Scenario: report.Scenario{Name: "ping_pong", Title: "50 connections, 1 KiB each way, the next exchange as soon as the last one is over.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Exchange, Conns: 50, Up: 1024, Down: 1024}}, veth: true, allInQuick: true,
	}, {
		Scenario: report.Scenario{Name: "token_stream", Title: "100 connections, each gets a message of 200 bytes every 5 ms. Latency is from the origin's send to the load's read.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Stream, Conns: 100, Up: 64, Down: 200, Every: 5 * time.Millisecond}}, veth: true,
	}, {
		Scenario: report.Scenario{Name: "token_slow", Title: "The same at the pace of a language model: a message every 40 ms on each connection.",
			Metrics: single},
		groups: []load.Group{{Kind: load.Stream, Conns: 100, Up: 64, Down: 200, Every: 40 * time.Millisecond}}, fewer: 2,
	}, {
		Scenario: report.Scenario{Name: "beside", Title: "1 KiB ping-pong on 10 connections beside 4 downloads without a pause.",
			Metrics: []report.Metric{p50, p99, {Name: "exchanges", Unit: "/s", Higher: true}, {Name: "bulk", Unit: "GB/s", Higher: true}}},
		groups: []load.Group{{Kind: load.Exchange, Conns: 10, Up: 1024, Down: 1024}, {Kind: load.Bulk, Conns: 4, Up: 32, Down: frame}}, veth: true,
	}, {
		Scenario: report.Scenario{Name: "idle_memory", Title: "A fresh process, before and with 9,000 connections that have exchanged 64 bytes each way and idle. Private memory of the process; socket buffers are the kernel's and not in it.",
			Metrics: []report.Metric{{Name: "memory", Unit: "KiB/conn"}, {Name: "fds", Unit: "/conn", Plain: true}, {Name: "held", Unit: "conns", Plain: true},
				{Name: "base", Unit: "MiB", Plain: true}, {Name: "threads", Plain: true}}},
		fresh: (*bench).idleMemory, fewer: 3,
	}, {
		Scenario: report.Scenario{Name: "open_cost", Title: "A fresh process; exchanges of 64 bytes, 10 at once, spread over all of 10, 1,000 and 9,000 open connections (growth: at9000 to at10); then on ten connections beside 9,000 that idle (growth_same).",
			Metrics: []report.Metric{{Name: "at10", Unit: "µs"}, {Name: "at1000", Unit: "µs"}, {Name: "at9000", Unit: "µs"}, {Name: "among9000", Unit: "µs"},
				{Name: "growth", Plain: true}, {Name: "growth_same", Plain: true}}},
		fresh: (*bench).openCost, fewer: 2,
	}, {
		Scenario: report.Scenario{Name: "replace", Title: "A fresh process is replaced: l4fwd by upgrade, HAProxy and nginx by a reload, once as they are and once bounded, so that their old processes are gone within 2 s, too. 100 connections do an exchange of 256 bytes every 20 ms, 400 idle, 500 clients a second connect anew. alive: of the 500, after 10 s (with -quick 2.5 s); served, refused: of the new clients; pause: the longest exchange of a live connection in the 2 s from the beginning, usual: in the second before; old: how long the old processes lived on, or were seen to.",
			Metrics: []report.Metric{{Name: "alive", Unit: "%", Plain: true}, {Name: "served", Unit: "%", Plain: true}, {Name: "refused", Plain: true},
				{Name: "pause", Unit: "ms", Plain: true}, {Name: "usual", Unit: "ms", Plain: true}, {Name: "old", Unit: "s", Plain: true}}},
		fresh: (*bench).replace, fewer: 4, variant: peer.Renew, alone: true, allInQuick: true,
	}, {
		Scenario: report.Scenario{Name: "handshake", Title: "Connect and shake hands by TLS 1.3 with an origin 20 ms away, then close; 4 at once. Latency is that of all of it, until the client may send its request. l4fwd-warm keeps connections to the origin ready.",
			Metrics: []report.Metric{p50, p99}},
		groups: []load.Group{{Kind: load.TLS, Conns: 4}}, net: farName, variant: peer.Warm, beside: peer.Direct,
	},
}

// runs reports whether s is to be run over a network: what -only names, and over veth what gains by it, unless -net and
// -only both say what they want.
func (o *options) runs(s scenario, over string) bool {
	if len(o.only) > 0 && !slices.Contains(o.only, s.Name) {
		return false
	}
	if s.net != "" || over == farName || over == tlsName {
		return s.net == over
	}
	return over == report.Loopback || s.veth || len(o.only) > 0 && o.netGiven
}

// anythingOver reports whether any scenario is to be run over a network.
func (o *options) anythingOver(name string) bool {
	return slices.ContainsFunc(scenarios, func(s scenario) bool { return o.runs(s, name) })
}

// takes reports whether a peer takes part: the ordinary ones do, a variant only where it makes a difference.
func (s scenario) takes(p peer.Spec) bool {
	return (p.Variant == "" && !s.alone || p.Variant != "" && p.Variant == s.variant) && (s.fresh == nil || p.Name != peer.Direct)
}

// plays reports whether a peer takes part in anything that is to be run over a network.
func (o *options) plays(p peer.Spec, over string) bool {
	return slices.ContainsFunc(scenarios, func(s scenario) bool { return o.runs(s, over) && s.takes(p) })
}

// repetitions is how many windows a peer gets, central ones more than others. A full run of all peers over both networks
// is to end within a quarter of an hour.
func (o *options) repetitions(s scenario, over string, central bool) int {
	n := o.reps
	switch {
	case o.duration >= time.Second:
		n = max(1, n-s.fewer)
	case s.fresh != nil:
		n = 1
	}
	if over != report.Loopback {
		n = (3*n + 4) / 5
	}
	switch {
	case central:
		return n
	case o.quick && !s.allInQuick:
		return 0
	}
	return max(1, 2*n/5)
}

func scenarioNames() (names []string) {
	for _, s := range scenarios {
		names = append(names, s.Name)
	}
	return names
}

func known(name string) bool { return slices.Contains(scenarioNames(), name) }

// values turns a window into the scenario's metrics. direct has no CPU figure.
func (s scenario) values(w *load.WindowResult, proxied bool) map[string]float64 {
	v := map[string]float64{}
	g := w.Groups[0]
	units := float64(g.Ops)
	switch {
	case s.perGB:
		units = float64(g.Bytes) / 1e9
		v["throughput"] = units / w.Seconds
		v["ksoftirqd"] = w.Deferred / units
	case len(w.Groups) == 2:
		v["exchanges"] = units / w.Seconds
		v["bulk"] = float64(w.Groups[1].Bytes) / 1e9 / w.Seconds
	default:
		v["throughput"] = units / w.Seconds
	}
	if g.P99 > 0 {
		v["p50"], v["p99"] = g.P50/1e3, g.P99/1e3
	}
	if proxied && units > 0 {
		v["waits"], v["preempts"] = float64(w.Waits)/units, float64(w.Preempts)/units
		v["cpu"] = w.ProxyCPU / units
		if !s.perGB {
			v["cpu"] *= 1e6
		}
	}
	return v
}

// pace is the operations a second of a load that has a pace; 0 for any other load.
func (s scenario) pace() (perSecond float64) {
	for _, g := range s.groups {
		switch {
		case g.Every == 0:
		case g.Kind == load.Stream:
			perSecond += float64(g.Conns) / g.Every.Seconds()
		default:
			perSecond += 1 / g.Every.Seconds()
		}
	}
	return perSecond
}
