package logging

import (
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

// spell is the time that a level is in force which is not that of the configuration.
type spell struct {
	mu    sync.Mutex
	timer *time.Timer
	until time.Time // zero: without end
}

// set calls change, and back after d; with d 0, back is not called. What was set before is forgotten.
func (s *spell) set(change func(), d time.Duration, back func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer, s.until = nil, time.Time{}
	change()
	if d <= 0 {
		return
	}
	s.until = time.Now().Add(d)
	var mine *time.Timer
	mine = time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.timer == mine { // else another level was set just now
			s.timer, s.until = nil, time.Time{}
			back()
		}
	})
	s.timer = mine
}

// SetLevelFor changes the level for d, after which it is back; 0: until SetLevel is called. It ignores texts that name no level.
func (l *Log) SetLevelFor(text string, d time.Duration, back string) {
	level, err := zapcore.ParseLevel(text)
	before, berr := zapcore.ParseLevel(back)
	if err != nil || berr != nil {
		return
	}
	l.spell.set(func() { l.level.SetLevel(level) }, d, func() { l.level.SetLevel(before) })
}

// Level returns the level in force and until when it is, which is the zero time without an end.
func (l *Log) Level() (level string, until time.Time) {
	l.spell.mu.Lock()
	defer l.spell.mu.Unlock()
	return l.level.Level().String(), l.spell.until
}
