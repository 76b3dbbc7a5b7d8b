package resolve

import "time"

// When to look up again. The first waits are part of the operator's interface. The
// longest waits keep a broken name cheap, and are short beside the time that a person
// needs to repair it.
const (
	failureStart = time.Second
	retryCeiling = 30 * time.Second

	// Before the first good answer the daemon is not ready, so it asks more often.
	firstStart   = 250 * time.Millisecond
	firstCeiling = 5 * time.Second

	// With an answer for only one family, the other is tried again before a long TTL ends.
	partialRetry = 30 * time.Second

	// refreshGap is the least time from the end of a lookup to one that Refresh asks for.
	refreshGap = time.Second
)

// next returns how long to wait after a lookup. fails counts the lookups without a
// good answer since the last good one, this one included; have says that there are
// addresses in use.
//
// A fleet started by one rollout must not ask in step, hence the jitter: up to 10 %
// less of a TTL, up to half less of a retry.
func (r *Resolver) next(o outcome, fails int, have bool) time.Duration {
	switch {
	case o.result == OK:
		d := r.clamp(o.ttl)
		if o.partial != nil {
			d = min(d, max(partialRetry, r.opts.MinTTL))
		}
		return r.shorten(d, 0.1)
	case !have:
		return r.shorten(backoff(firstStart, firstCeiling, fails), 0.5)
	case o.result.negative():
		// Not longer than the server itself keeps the negative answer.
		d := min(backoff(r.opts.MinTTL, retryCeiling, fails), r.clamp(o.ttl))
		return r.shorten(d, 0.1)
	}
	return r.shorten(backoff(failureStart, retryCeiling, fails), 0.5)
}

// clamp returns a TTL within MinTTL and MaxTTL.
func (r *Resolver) clamp(ttl time.Duration) time.Duration {
	return min(max(ttl, r.opts.MinTTL), r.opts.MaxTTL)
}

// shorten takes up to the given part off d.
func (r *Resolver) shorten(d time.Duration, part float64) time.Duration {
	return d - time.Duration(r.random()*part*float64(d))
}

// backoff doubles start with each failure after the first, up to ceiling (or start,
// if that is more).
func backoff(start, ceiling time.Duration, fails int) time.Duration {
	d := start
	for range fails - 1 {
		if d >= ceiling {
			break
		}
		d = min(2*d, ceiling)
	}
	return d
}
