package haproxy

import (
	"fmt"
	"strconv"
	"time"
)

// parseTime reads a time of HAProxy: a number of milliseconds, or one with a unit.
func parseTime(text string) (time.Duration, bool) {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	units := map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
		"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	unit, known := units[text[n:]]
	value, err := strconv.ParseInt(text[:n], 10, 64)
	const most = 24 * 24 * time.Hour // HAProxy's: 2^31 ms
	if err != nil || !known {
		return 0, false
	}
	if value > int64(most/unit) {
		return most, true
	}
	return time.Duration(value) * unit, true
}

// write is a duration as l4fwd reads it.
func write(d time.Duration) string {
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if d%u.unit == 0 && d >= u.unit {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(d/time.Millisecond), 10) + "ms"
}

// duration is the value of a directive such as "timeout connect", within what l4fwd takes; 0 if there is none.
func (im *importer) duration(p *proxy, key string, low, high time.Duration) time.Duration {
	text, at := p.argument(key)
	if text == "" {
		return 0
	}
	return im.bounded(at, key, text, low, high)
}

// serverDuration is the value of an option of a server.
func (im *importer) serverDuration(s *server, name string, otherwise, low, high time.Duration) time.Duration {
	if text := s.options.value(name); text != "" {
		if d := im.bounded(s.at, name, text, low, high); d > 0 {
			return d
		}
	}
	return otherwise
}

// bounded reads a time and brings it within what l4fwd takes. 0 is none, as in HAProxy.
func (im *importer) bounded(at line, key, text string, low, high time.Duration) time.Duration {
	d, ok := parseTime(text)
	if !ok {
		im.dropped(at, key+" "+text, "it is no time")
		return 0
	}
	within := min(max(d, low), high)
	if d == 0 {
		return 0
	}
	if within != d {
		im.changed(at, key+" "+text, fmt.Sprintf("l4fwd takes %s to %s: it is %s", write(low), write(high), write(within)))
	}
	return within
}

// Bounds of timeouts.idle and timeouts.half_close; the upper one also stands for none at all.
const (
	shortest = time.Second
	longest  = 720 * time.Hour
)

// pathTimes are the timeouts of clients that go from a frontend to a backend.
type pathTimes struct {
	front, back *proxy
	idle        time.Duration
	toServer    time.Duration // after the client's FIN
	toClient    time.Duration // after the server's FIN
}

// none is a timeout that is not set: HAProxy waits for ever.
func orForever(d time.Duration) time.Duration {
	if d == 0 {
		return longest
	}
	return d
}

// timesOf works out the timeouts of one path. Any byte restarts both timeout client and timeout server, so that the shorter one
// counts; timeout tunnel takes the place of both.
func (im *importer) timesOf(front, back *proxy) pathTimes {
	t := pathTimes{front: front, back: back}
	t.idle = im.duration(back, "timeout tunnel", shortest, longest)
	if t.idle == 0 {
		t.idle = min(orForever(im.duration(front, "timeout client", shortest, longest)), orForever(im.duration(back, "timeout server",
			shortest, longest)))
	}
	t.toServer, t.toClient = t.idle, t.idle
	if d := im.duration(back, "timeout server-fin", shortest, longest); d > 0 {
		t.toServer = d
	}
	if d := im.duration(front, "timeout client-fin", shortest, longest); d > 0 {
		t.toClient = d
	}
	return t
}

// timeouts carries the timeouts of all paths, of which l4fwd has one of each kind: the longest, so that no client is cut that
// HAProxy keeps.
func (im *importer) timeouts() {
	if len(im.out.paths) == 0 {
		return
	}
	o := &im.out
	for _, t := range o.paths {
		o.idle = max(o.idle, t.idle)
		o.halfClose = max(o.halfClose, t.toServer, t.toClient)
	}
	for _, t := range o.paths {
		if t.idle == longest {
			im.changed(t.front.section.at, t.front.section.at.text(),
				"no timeout client, timeout server or timeout tunnel is set: timeouts.idle is "+write(longest))
		}
		if t.idle != o.idle {
			im.longer(t, []string{"timeout tunnel"}, []string{"timeout client"}, []string{"timeout server"}, "timeouts.idle", o.idle)
		}
		if t.toServer != o.halfClose {
			im.longer(t, []string{"timeout server-fin", "timeout tunnel", "timeout server"}, nil, nil, "timeouts.half_close", o.halfClose)
		}
		if t.toClient != o.halfClose {
			im.longer(t, nil, []string{"timeout client-fin"}, []string{"timeout tunnel", "timeout server"}, "timeouts.half_close", o.halfClose)
		}
	}
}

// longer reports a timeout that is longer for a path than HAProxy's: at the first directive that is set.
func (im *importer) longer(t pathTimes, back, front, backAgain []string, key string, now time.Duration) {
	try := func(p *proxy, keys []string) bool {
		for _, k := range keys {
			if l, ok := p.setting(k); ok {
				im.changed(l, l.text(), "l4fwd has one "+key+" for all connections and both directions, the longest: "+write(now))
				return true
			}
		}
		return false
	}
	_ = try(t.back, back) || try(t.front, front) || try(t.back, backAgain)
}

// inspectDelay carries tcp-request inspect-delay of the frontends, of which l4fwd has one.
func (im *importer) inspectDelay(p *proxy) {
	for _, l := range p.each("tcp-request") {
		if len(l.words) < 3 || l.words[1] != "inspect-delay" {
			continue
		}
		d := im.bounded(l, "inspect-delay", l.words[2], 10*time.Millisecond, time.Hour)
		if im.out.preface != 0 && d != im.out.preface {
			im.changed(l, l.text(), "l4fwd has one timeouts.preface, the longest: "+write(max(d, im.out.preface)))
		}
		im.out.preface = max(d, im.out.preface)
	}
}
