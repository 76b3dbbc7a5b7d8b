package soak

import (
	"math/rand/v2"
	"time"
)

// event has an address die or come back, or join or leave the answer of its name.
func (w *soakWorld) event(r *rand.Rand) {
	u := w.ups[r.IntN(len(w.ups))]
	k := r.IntN(len(u.servers))
	w.mu.Lock()
	frozen := time.Now().Before(u.frozen)
	w.mu.Unlock()
	if w.revived() || frozen {
		return
	}
	v := u.servers[k]
	_, lives := v.lived.now()
	switch {
	case r.IntN(100) < 30:
		w.list(u, k)
	case !lives && v.isDark() < soakUserTimeout+soakBusy/2:
		return // else its connections would go on as if nothing had been
	case !lives:
		v.live()
		w.s.count.add("addresses that came back")
	case w.anchored(u, k):
		how := soakDeaths[r.IntN(len(soakDeaths))]
		if how == dieDark && !isolated() || (how == dieDark || how == dieToHole) && w.holes(u) > 0 {
			how = dieByReset // each costs a connection a second
		}
		v.die(how)
		w.s.count.add("deaths")
		w.s.count.add("deaths by " + how)
	}
}

// revived has an address live again that has been dead for long, so that none whose clients it does not answer keeps
// them for soakPatience: that is to be l4fwd's doing only.
func (w *soakWorld) revived() bool {
	long := time.Now().Add(-soakPatience / 2)
	for _, u := range w.ups {
		for _, v := range u.servers {
			if _, lives := v.lived.now(); !lives && v.died.last().from.Before(long) {
				v.live()
				w.s.count.add("addresses that came back")
				return true
			}
		}
	}
	return false
}

// list adds the address to the answer, or takes it away.
func (w *soakWorld) list(u *soakUpstream, k int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch _, listed := u.listed[k].now(); {
	case !listed:
		u.listed[k].open(time.Now())
	case w.anchored(u, k):
		u.listed[k].close(time.Now())
	default:
		return
	}
	w.s.count.add("DNS changes")
}

// anchored reports whether the upstream does without an address: whether another has been live and listed for long.
func (w *soakWorld) anchored(u *soakUpstream, without int) bool {
	long := time.Now().Add(-soakAnchor)
	for k, v := range u.servers {
		lives, a := v.lived.now()
		listed, b := u.listed[k].now()
		if k != without && a && b && !lives.After(long) && !listed.After(long) {
			return true
		}
	}
	return false
}

// holes counts the addresses of an upstream that do not answer attempts to connect.
func (w *soakWorld) holes(u *soakUpstream) (n int) {
	for _, v := range u.servers {
		v.mu.Lock()
		if len(v.hole) > 0 || v.dark != nil {
			n++
		}
		v.mu.Unlock()
	}
	return n
}

// outage has a name not resolve for a while: the last good answer is to do. Its addresses stay what they are meanwhile,
// and until the next answer is known.
func (w *soakWorld) outage(r *rand.Rand) {
	w.serving.Lock()
	defer w.serving.Unlock()
	u := w.ups[r.IntN(len(w.ups))]
	took := time.Duration(300+r.IntN(1500)) * time.Millisecond
	w.mu.Lock()
	u.mute, u.frozen = true, time.Now().Add(took+3*soakLearn) // it asks again after up to 2 s, then 4
	w.mu.Unlock()
	u.outages.open(time.Now())
	time.Sleep(took)
	u.outages.close(time.Now())
	w.mu.Lock()
	u.mute = false
	w.mu.Unlock()
	w.s.count.add("DNS outages")
}

// restore has all addresses live and listed.
func (w *soakWorld) restore() {
	for _, u := range w.ups {
		for k, v := range u.servers {
			if _, lives := v.lived.now(); !lives {
				v.live()
			}
			w.mu.Lock()
			if _, listed := u.listed[k].now(); !listed {
				u.listed[k].open(time.Now())
			}
			w.mu.Unlock()
		}
	}
}

// livePath reports whether one of the upstream's addresses was live and listed, and had been for long enough to be known,
// from from to to.
func (u *soakUpstream) livePath(from, to time.Time) bool {
	for k, v := range u.servers {
		lived := v.lived.any(func(sp soakSpan) bool { return sp.covers(from, to) })
		listed := u.listed[k].any(func(sp soakSpan) bool { return sp.covers(from.Add(-soakLearn), to) })
		if lived && listed {
			return true
		}
	}
	return false
}
