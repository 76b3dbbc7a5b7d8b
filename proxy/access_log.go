package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// accessLog writes the access log in a goroutine of its own, since a loop must never wait for a log that is slow or stuck.
// A line for which the queue has no room is dropped and counted.
type accessLog struct {
	which   atomic.Uint32 // an AccessLog
	starts  atomic.Bool   // a connection gets a line when it begins, too
	to      *zap.Logger
	queue   chan accessRecord
	dropped atomic.Uint64
	ended   sync.WaitGroup
}

// accessRecord is a summary that outlives the connection.
type accessRecord struct {
	msg                          string
	event                        func()    // not nil: is called instead, and logs something else
	at                           time.Time // when the connection ended: the line may be written much later
	id                           uint64
	listener, upstream           string
	vpce, sni, detail            string
	client, addr, local          netip.AddrPort
	reason                       relay.Reason
	up, down                     uint64
	connect, firstByte, duration time.Duration
	attempts                     int
}

const (
	// accessQueue is how many lines may wait to be written: a quarter of a second at 16,000 connections a second.
	accessQueue = 4096
	// accessGather is how long lines gather before they are written. Each wake-up of the log's goroutine costs the loop that
	// hands the line over more than the line itself: so there is one for all lines of this time.
	accessGather = 10 * time.Millisecond
)

// newAccessLog starts the goroutine, which close ends.
func newAccessLog(which AccessLog, log *zap.Logger) *accessLog {
	a := &accessLog{to: log, queue: make(chan accessRecord, accessQueue)}
	a.which.Store(uint32(which))
	a.ended.Go(a.write)
	return a
}

// log has the line of a connection written. ses is nil if nothing is known of the connection but the summary.
func (a *accessLog) log(s *relay.Summary, ses *session, upstream string) {
	if which := AccessLog(a.which.Load()); which == AccessOff || which == AccessErrors && s.Reason.Expected() {
		return
	}
	r := recordOf(accessEnd, s, ses, upstream)
	r.local = s.Local()
	a.put(r)
}

// The messages of the access log.
const (
	accessEnd      = "access"
	accessStart    = "access start"    // log.starts
	accessProgress = "access progress" // log.progress
)

// recordOf returns the line of a connection at this moment, without its local address.
func recordOf(msg string, s *relay.Summary, ses *session, upstream string) accessRecord {
	r := accessRecord{
		msg: msg, at: time.Now(), id: s.ID, listener: s.Listener.Name, upstream: upstream,
		client: s.Client, reason: s.Reason, up: s.Up, down: s.Down,
		connect: s.Connect, firstByte: s.FirstByte, duration: s.Duration, attempts: s.Attempts,
	}
	if s.Endpoint != nil {
		r.addr = s.Endpoint.Addr
	}
	if ses != nil {
		r.client = ses.source(s.Flow)
		r.vpce, r.sni, r.detail = ses.parser.Result.VPCE, ses.parser.Result.SNI, ses.detail
	}
	return r
}

// put queues a line. Without room for it, it is dropped and counted.
func (a *accessLog) put(r accessRecord) {
	select {
	case a.queue <- r:
	default:
		a.dropped.Add(1)
	}
}

// start has the line written of a connection that has reached its upstream after took.
func (a *accessLog) start(f *relay.Flow, ses *session, upstream string, took time.Duration) {
	if a.starts.Load() {
		a.put(recordOf(accessStart, &relay.Summary{Flow: f, Connect: took}, ses, upstream))
	}
}

// event has f called in the log's goroutine, where logging may wait. Without room in the queue f is dropped, and counted as a line.
func (a *accessLog) event(f func()) { a.put(accessRecord{event: f}) }

// write writes what is queued until close, in batches.
func (a *accessLog) write() {
	for r := range a.queue {
		time.Sleep(accessGather)
		a.writeOne(r)
		for range len(a.queue) {
			a.writeOne(<-a.queue)
		}
	}
}

// writeOne writes a line, or calls an event.
func (a *accessLog) writeOne(r accessRecord) {
	if r.event != nil {
		r.event()
		return
	}
	if line := a.to.Check(zap.InfoLevel, r.msg); line != nil {
		line.Time = r.at
		line.Write(r.fields()...)
	}
}

// fields are those of an access line, in their order.
func (r *accessRecord) fields() []zap.Field {
	detail := zap.Skip()
	if r.detail != "" {
		detail = zap.String("detail", r.detail)
	}
	reason := zap.Skip()
	if r.msg == accessEnd {
		reason = zap.Stringer("reason", r.reason)
	}
	return []zap.Field{
		zap.Uint64("id", r.id),
		zap.String("listener", r.listener),
		zap.String("upstream", r.upstream),
		zap.String("client", addrText(r.client)),
		zap.String("vpce", r.vpce),
		zap.String("sni", r.sni),
		zap.String("upstream_addr", addrText(r.addr)),
		zap.String("local_addr", addrText(r.local)),
		reason,
		detail,
		zap.Uint64("bytes_up", r.up),
		zap.Uint64("bytes_down", r.down),
		zap.Float64("connect_ms", millis(r.connect)),
		zap.Float64("first_byte_ms", millis(r.firstByte)),
		zap.Float64("duration_ms", millis(r.duration)),
		zap.Int("attempts", r.attempts),
	}
}

// close writes what is queued and ends the goroutine. Nothing may be logged afterwards.
func (a *accessLog) close() {
	close(a.queue)
	a.ended.Wait()
}

// addrText is an address as the log has it; empty for the zero value.
func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// millis returns d in milliseconds, rounded down to microseconds.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
