package metrics

import (
	"encoding/json"
	"fmt"
	"time"
)

// historyVersion is the version of savedHistory. A field may be added, and never changes its meaning; testdata has a file of each
// version.
const historyVersion = 1

// savedHistory is the history on its way to the next process, as JSON.
type savedHistory struct {
	Version int           `json:"version"`
	Points  []Point       `json:"points"`
	Moments []savedMoment `json:"moments"`
}

// savedMoment is a moment without its histograms: the next process begins an interval of its own.
type savedMoment struct {
	At       time.Time         `json:"at"`
	Up       uint64            `json:"up"`
	Down     uint64            `json:"down"`
	Accepted uint64            `json:"accepted"`
	Busy     []float64         `json:"busy"`
	Limited  map[string]uint64 `json:"limited"`
	Active   int64             `json:"active"`
	Refused  map[string]uint64 `json:"refused"`
	Ended    map[string]uint64 `json:"ended"`
}

// Save returns the history for the process that takes over.
func (r *Sampler) Save() (json.RawMessage, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := savedHistory{Version: historyVersion, Points: r.points}
	for i := range r.moments {
		m := &r.moments[i]
		s.Moments = append(s.Moments, savedMoment{m.at, m.up, m.down, m.accepted, m.busy, m.limited, m.active, m.refused, m.ended})
	}
	return json.Marshal(s)
}

// Take puts the history of the process before this one, whose counters go on here, before that of this one. It is called before
// Run. jump is by how much the clock was set since. An error has changed nothing.
func (r *Sampler) Take(from json.RawMessage, jump time.Duration) error {
	var s savedHistory
	if err := json.Unmarshal(from, &s); err != nil {
		return fmt.Errorf("read the history: %w", err)
	}
	if s.Version != historyVersion {
		return fmt.Errorf("the history has version %d, this process reads %d", s.Version, historyVersion)
	}
	for i := range s.Points {
		s.Points[i].At = s.Points[i].At.Add(jump)
	}
	var moments []moment
	for _, m := range s.Moments {
		moments = append(moments, moment{
			sample: sample{at: m.At.Add(jump), up: m.Up, down: m.Down, accepted: m.Accepted, busy: m.Busy, limited: m.Limited},
			active: m.Active, refused: m.Refused, ended: m.Ended,
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.points = newest(append(s.Points, r.points...), historyCount)
	r.moments = newest(append(moments, r.moments...), historyCount+1)
	return nil
}
