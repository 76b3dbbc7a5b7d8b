package soak

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// soakAccess is a line of the access log.
type soakAccess struct {
	d            *soakDaemon
	Time         time.Time `json:"ts"`
	Listener     string
	Upstream     string
	Client       netip.AddrPort
	UpstreamAddr string `json:"upstream_addr"`
	Reason       string
	Up           int     `json:"bytes_up"`
	Down         int     `json:"bytes_down"`
	Duration     float64 `json:"duration_ms"`
	Connect      float64 `json:"connect_ms"`
	Attempts     int
	text         string
}

func (a *soakAccess) opened() time.Time {
	return a.Time.Add(-time.Duration(a.Duration * float64(time.Millisecond)))
}

// soakLedger brings together what each client met and what the access log tells of it.
type soakLedger struct {
	s *soak

	mu      sync.Mutex
	results map[uint32]*soakResult
	lines   map[uint32]*soakAccess
	judged  map[uint32]bool
}

func newSoakLedger(s *soak) *soakLedger {
	return &soakLedger{s: s, results: map[uint32]*soakResult{}, lines: map[uint32]*soakAccess{}, judged: map[uint32]bool{}}
}

func (l *soakLedger) line(d *soakDaemon, text string) {
	a := &soakAccess{d: d, text: text}
	if err := json.Unmarshal([]byte(text), a); err != nil {
		l.s.fail(fmt.Sprintf("access line %s: %v", text, err))
		return
	}
	n := numberOf(a.Client.Addr())
	l.mu.Lock()
	defer l.mu.Unlock()
	switch res := l.results[n]; {
	case n == 0:
		l.s.fail("a client that is none of ours: " + text)
	case l.judged[n] || l.lines[n] != nil:
		l.s.fail("a second line for a connection: " + text)
	case res == nil:
		l.lines[n] = a
	default:
		l.judge(res, a)
	}
}

func (l *soakLedger) result(res *soakResult) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if res.d == nil || res.refused {
		l.judged[res.number] = true
		l.s.judgeRefused(res)
		return
	}
	if a := l.lines[res.number]; a != nil {
		l.judge(res, a)
		return
	}
	l.results[res.number] = res
}

// judge compares the two. The caller holds mu.
func (l *soakLedger) judge(res *soakResult, a *soakAccess) {
	delete(l.results, res.number)
	delete(l.lines, res.number)
	l.judged[res.number] = true
	l.s.judge(res, a)
}

// settle waits until each client has its line.
func (l *soakLedger) settle() {
	left := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.results) + len(l.lines)
	}
	for end := time.Now().Add(soakPatience); left() > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	l.close()
}

// close reports whom no line tells of, and lines of nobody.
func (l *soakLedger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, res := range l.results {
		l.s.fail("no access line: " + res.String())
	}
	for _, a := range l.lines {
		l.s.fail("an access line of nobody: " + a.text)
	}
	clear(l.results)
	clear(l.lines)
}

func (r *soakResult) String() string {
	where := "nowhere"
	if r.d != nil {
		where = fmt.Sprintf("daemon %d (%s) listener %s", r.d.index, r.d.engine, listenerNames[r.listener])
	}
	return fmt.Sprintf("connection %d, %s, %s, %s to %s (%v): %d exchanges of %v, sent %d, got %d, greeted by %q of %d: %v",
		r.number, r.does, where, r.begun.Format("15:04:05.000"), r.ended.Format("15:04:05.000"),
		r.ended.Sub(r.begun).Round(time.Millisecond), r.done, len(r.sizes), r.sent, r.got, r.greeted, r.upstream, r.err)
}
