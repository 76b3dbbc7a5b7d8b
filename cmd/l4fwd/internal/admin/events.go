package admin

import (
	"strings"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

// Event is something that happened to the daemon.
type Event struct {
	Number uint64         `json:"number"` // counts from 1 since the start
	At     time.Time      `json:"at"`
	Kind   string         `json:"kind"`  // one of EventKinds
	Level  string         `json:"level"` // as in the log
	Text   string         `json:"text"`
	Fields map[string]any `json:"fields"` // as in the log
}

// EventList is the answer to GET /api/v1/events.
type EventList struct {
	Events []Event `json:"events"`
}

// Messages of the log about what an operator does by the API.
const (
	MsgClosed   = "connection closed by an operator"
	MsgEjected  = "address ejected by an operator"
	MsgRestored = "address restored by an operator"
	MsgLevel    = "log level changed by an operator"
)

// EventKinds lists the values of Event.Kind.
func EventKinds() []string {
	return []string{"start", "reload", "address", "drain", "eip", "lifecycle", "operator", "upgrade"}
}

// kinds is which log messages are events, beside those that kindOf knows by their beginning.
var kinds = map[string]string{
	"started": "start", "reloaded": "reload", "reload failed: nothing was changed": "reload",
	"an upstream address is out": "address", "an upstream address is used again": "address",
	"took over": "upgrade", "the upgrade failed: this process goes on": "upgrade", "no upgrade was begun": "upgrade",
	"draining": "drain", "drained": "drain", "drain requested": "operator",
	MsgClosed: "operator", MsgEjected: "operator", MsgRestored: "operator", MsgLevel: "operator",
}

// kindOf is the kind of event that a log line is; "" if it is none.
func kindOf(msg string) string {
	if kind := kinds[msg]; kind != "" {
		return kind
	}
	switch {
	case strings.HasPrefix(msg, "lifecycle"), strings.HasPrefix(msg, "leaving with the lifecycle hook"):
		return "lifecycle"
	case strings.HasPrefix(msg, "eip "), strings.Contains(msg, "Elastic IP"):
		return "eip"
	}
	return ""
}

// eventsKept is how many events are kept.
const eventsKept = 50

// Events keeps the latest events. It is a zapcore.Core beside that of the log: it sees each line, whatever the level of the log.
// The zero value is not usable: see NewEvents.
type Events struct {
	fields []zapcore.Field
	ring   *eventRing
}

type eventRing struct {
	mu   sync.Mutex
	all  []Event
	last uint64
}

// NewEvents returns a core that has seen nothing.
func NewEvents() *Events { return &Events{ring: &eventRing{}} }

// Enabled takes what is worth a line: events are never of level debug.
func (e *Events) Enabled(l zapcore.Level) bool { return l >= zapcore.InfoLevel }

// With returns a core that adds fields and shares the events.
func (e *Events) With(f []zapcore.Field) zapcore.Core {
	return &Events{append(append([]zapcore.Field{}, e.fields...), f...), e.ring}
}

// Check adds the core if the line is an event.
func (e *Events) Check(l zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Enabled(l.Level) && kindOf(l.Message) != "" {
		return to.AddCore(l, e)
	}
	return to
}

// Write keeps an event.
func (e *Events) Write(l zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range append(append([]zapcore.Field{}, e.fields...), fields...) {
		f.AddTo(enc)
	}
	for k, v := range enc.Fields {
		if d, ok := v.(time.Duration); ok {
			enc.Fields[k] = d.String()
		}
	}
	r := e.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	r.all = append(r.all, Event{r.last, l.Time.UTC(), kindOf(l.Message), l.Level.String(), l.Message, enc.Fields})
	if len(r.all) > eventsKept {
		r.all = append(r.all[:0], r.all[len(r.all)-eventsKept:]...)
	}
	return nil
}

// Sync has nothing to do.
func (e *Events) Sync() error { return nil }

// List returns the events, the oldest first.
func (e *Events) List() []Event {
	e.ring.mu.Lock()
	defer e.ring.mu.Unlock()
	return append([]Event{}, e.ring.all...)
}
