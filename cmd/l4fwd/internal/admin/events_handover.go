package admin

import (
	"encoding/json"
	"fmt"
)

// eventsVersion is the version of savedEvents. A field may be added, and never changes its meaning; testdata has a file of each version.
const eventsVersion = 1

// savedEvents is the events on their way to the next process, as JSON.
type savedEvents struct {
	Version int     `json:"version"`
	Last    uint64  `json:"last"` // the number of the latest event
	Events  []Event `json:"events"`
}

// Save returns the events for the process that takes over.
func (e *Events) Save() (json.RawMessage, error) {
	e.ring.mu.Lock()
	defer e.ring.mu.Unlock()
	return json.Marshal(savedEvents{eventsVersion, e.ring.last, e.ring.all})
}

// Take puts the events of the process before this one before those of this one, which are numbered after them. An error has
// changed nothing.
func (e *Events) Take(from json.RawMessage) error {
	var s savedEvents
	if err := json.Unmarshal(from, &s); err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if s.Version != eventsVersion {
		return fmt.Errorf("the events have version %d, this process reads %d", s.Version, eventsVersion)
	}
	r := e.ring
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, own := range r.all {
		own.Number += s.Last
		s.Events = append(s.Events, own)
	}
	r.last += s.Last
	r.all = s.Events[max(len(s.Events)-eventsKept, 0):]
	return nil
}
