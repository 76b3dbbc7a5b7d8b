package doctor

import (
	"fmt"
	"time"

	"github.com/l4fwd/l4fwd/health/probe"
)

// How wrong the clock may be. AWS refuses requests whose time is off by 5 minutes, and certificates are judged by the clock.
const (
	skewWarning = 5 * time.Second
	skewFailure = time.Minute
)

// clock compares the clock with those of the targets that answered. If several did, the smallest difference counts: the clock
// of a server may be wrong, too.
func clock(targets []targetFindings) Step {
	s := Step{Kind: Clock, State: OK}
	best, known := probe.ClockResult{}, false
	for _, t := range targets {
		for _, f := range t.addresses {
			if c, ok := probe.ClockOf(f.answer); ok && (!known || c.Skew.Abs() < best.Skew.Abs()) {
				best, known, s.Subject = c, true, "against "+t.target.Host
			}
		}
	}
	if !known {
		return skip(s, "no server answered with its time")
	}
	off := best.Skew.Abs()
	direction := "ahead"
	if best.Skew < 0 {
		direction = "behind"
	}
	s.Evidence = fmt.Sprintf("%s %s, to within %s", off, direction, (best.Took/2 + time.Second/2).Round(time.Second/2))
	switch {
	case off >= skewFailure:
		s.fail(fmt.Sprintf("the clock of this machine; it is %s %s", off, direction),
			"certificates look expired or not yet valid, and AWS refuses requests that are off by 5 minutes or more", "timedatectl set-ntp true", "chronyc makestep")
	case off >= skewWarning:
		s.warn("the clock is not synchronized", "timedatectl set-ntp true")
	}
	return s
}
