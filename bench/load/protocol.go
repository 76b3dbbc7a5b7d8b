package load

import (
	"net/netip"
	"time"

	"github.com/l4fwd/l4fwd/bench/stats"
)

// Kind is what a group of connections does.
type Kind string

// The closed list of kinds.
const (
	Exchange Kind = "exchange" // requests and answers, one after the other
	Bulk     Kind = "bulk"     // large frames, one way
	Stream   Kind = "stream"   // messages at a pace, from the origin
	TLS      Kind = "tls"      // handshakes with an origin that speaks TLS, each on a connection of its own; with an Ending, resumed and with an exchange
)

// Ending is how a TLS client ends its connection, as seen by strace.
type Ending string

// The closed list of endings.
const (
	// NoExchange closes the connection after the handshake.
	NoExchange Ending = ""
	// LikePython closes the connection after the answer, as http.client and requests do: without close_notify. What the
	// origin still sends, its own close_notify, is answered by a reset.
	LikePython Ending = "python"
	// LikeNode sends close_notify and a FIN, reads the origin's, and then closes the connection, as socket.end() does.
	LikeNode Ending = "node"
)

// Group is connections that do the same. Sizes are in bytes and include the protocol's header.
type Group struct {
	Kind      Kind          `json:"kind"`
	Conns     int           `json:"conns"`
	Inflight  int           `json:"inflight"`  // exchanges at once, spread over all connections; 0: one a connection
	Reconnect bool          `json:"reconnect"` // each exchange on a connection of its own, closed by the client
	Abort     bool          `json:"abort"`     // with Reconnect: closed by a reset
	Up        int           `json:"up"`
	Down      int           `json:"down"`
	Every     time.Duration `json:"every"`  // pace of a stream's messages, each connection's; of exchanges, all connections'; 0: no pause between exchanges
	Ending    Ending        `json:"ending"` // of a TLS client
	Hello     string        `json:"hello"`  // exchanges: requests are ClientHellos that ask for this host name, as long as they are; "": Up bytes
}

// Command is one line the harness writes to the load's standard input; stdin's end quits.
type Command struct {
	Open   *Open   `json:"open,omitempty"`
	Window *Window `json:"window,omitempty"`
}

// Open opens connections; a group that is open already grows.
type Open struct {
	Target  netip.AddrPort `json:"target"`
	Sources []netip.Addr   `json:"sources"` // each worker connects from them in turn; none: from wherever the kernel likes
	Groups  []Group        `json:"groups"`
}

// Window runs all groups: a warm-up, then the part that counts, then what is under way is finished.
type Window struct {
	Warmup time.Duration `json:"warmup"`
	Length time.Duration `json:"length"`
	Proxy  []int         `json:"proxy"` // processes under test; none for direct
	Known  []int         `json:"known"` // other processes that belong to the bench
}

// Reply is one line the load writes to its standard output for each command.
type Reply struct {
	Errors []string      `json:"errors,omitempty"` // any of them makes the repetition invalid
	Opened []int         `json:"opened,omitempty"` // connections that work, a group each
	Result *WindowResult `json:"result,omitempty"`
}

// WindowResult is what a window saw.
type WindowResult struct {
	Seconds  float64       `json:"seconds"`
	Groups   []GroupResult `json:"groups"`
	ProxyCPU float64       `json:"proxy_cpu_s"`      // seconds of CPU of the processes under test
	Vanished int           `json:"vanished_threads"` // of them, ended within the window
	Waits    uint64        `json:"waits"`            // times that their threads gave up the CPU to wait
	Preempts uint64        `json:"preempts"`         // times that the CPU was taken from their threads
	Deferred float64       `json:"ksoftirqd_s"`      // seconds of CPU of the kernel's threads for network work
	Foreign  float64       `json:"foreign_cpu"`      // CPU of processes that do not belong to the bench, share of all cores
	Busiest  string        `json:"busiest"`          // of those processes
	Steal    float64       `json:"steal_cpu"`        // taken by the hypervisor, share of all cores
}

// GroupResult is one group's part of it. An op is an exchange, a bulk frame or a stream message; latency is that of an
// exchange from its start (with Reconnect: before connect), of a message from the origin's send to the load's read, or of a
// TLS handshake from before connect to its end.
type GroupResult struct {
	Ops   uint64  `json:"ops"`
	Bytes uint64  `json:"bytes"`  // bulk only: payload moved within the window
	P50   float64 `json:"p50_ns"` // nanoseconds
	P99   float64 `json:"p99_ns"`
	Max   float64 `json:"max_ns"`
}

func (r *GroupResult) add(ops, bytes uint64) {
	r.Ops += ops
	r.Bytes += bytes
}

func (r *GroupResult) latency(h *stats.Hist) {
	r.P50, r.P99, r.Max = h.Quantile(0.5), h.Quantile(0.99), h.Max()
}
