package soak

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
)

// text is a configuration: r chooses what may differ, nil is the one all begin and end with.
func (d *soakDaemon) text(r *rand.Rand) string {
	one := func(choices ...string) string {
		if r == nil {
			return choices[0]
		}
		return choices[r.IntN(len(choices))]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "engine: %s\nreload: watch\nloops: 2\n", d.engine)
	fmt.Fprintf(&b, "health: {address: %q}\nadmin: {address: %q}\n", d.health, d.admin)
	fmt.Fprintf(&b, "log: {level: %s, access: all}\n", one("info", "debug"))
	fmt.Fprintf(&b, "drain: {lame_duck: %s, timeout: %s}\n", soakLameDuck, soakDrainTime)
	fmt.Fprintf(&b, "dns: {servers: [%q], min_ttl: 250ms, timeout: 500ms}\n", d.s.world.dns)
	fmt.Fprintf(&b, "keepalive: {idle: 1s, interval: 1s, count: 3, user_timeout: %s}\n", soakUserTimeout)
	fmt.Fprintf(&b, "timeouts: {preface: %s, idle: %s, half_close: %s}\n", one("1s", "1500ms"), one("12s", "15s"), soakHalfClose)
	fmt.Fprintf(&b, "limits: {max_connections: %s, per_source: %s, accept_rate: %s}\n", one("0", "5000"), one("0", "10"), one("0", "20000"))
	b.WriteString("listeners:\n")
	fmt.Fprintf(&b, "- {name: plain, address: %q, upstream: plain}\n", d.listeners[listenerPlain])
	if d.extra.there {
		fmt.Fprintf(&b, "- {name: extra, address: %q, upstream: plain}\n", d.listeners[listenerExtra])
	}
	fmt.Fprintf(&b, "- {name: proxy, address: %q, upstream: behind, accept_proxy: %s}\n", d.listeners[listenerProxy], one("required", "optional"))
	fmt.Fprintf(&b, "- name: tls\n  address: %q\n  routes:\n", d.listeners[listenerTLS])
	routes := []string{"{sni: [one.soak], upstream: one}", "{sni: [two.soak], upstream: two}"}
	if one("", "swapped") != "" {
		routes[0], routes[1] = routes[1], routes[0]
	}
	routes = append(routes, "{sni: [either.soak], upstream: "+one("one", "two")+"}")
	for _, route := range routes {
		fmt.Fprintf(&b, "  - %s\n", route)
	}
	b.WriteString("upstreams:\n")
	for _, u := range d.s.world.ups {
		extra := ""
		if u.proxied {
			extra += ", send_proxy: v2"
		}
		if u.warm {
			extra += ", warm: " + one("{connections: 4, max_idle: 60s}", "{connections: 8, max_idle: 1s}", "{connections: 0}")
		}
		if u.closes {
			extra += fmt.Sprintf(", on_removed: close_after %s", soakCloseAfter)
		}
		fmt.Fprintf(&b, "- {name: %s, address: \"%s.soak:%d\", balance: %s, required: true, connect: {timeout: 1s, attempts: 10}, %s, %s%s}\n",
			u.name, u.name, u.port, one("least_conn", "round_robin", "first"),
			one("check: {type: tcp, interval: 400ms, timeout: 1s, rise: 1, fall: 2}", "check: {type: tcp, interval: 300ms, timeout: 1s}"),
			one("outlier: {failures: 3, ejection: 1s}", "outlier: {failures: 2, ejection: 500ms, max_ejected_percent: 80}", "outlier: {failures: 0}"), extra)
	}
	return b.String()
}

// faulty is a configuration that must change nothing.
func (d *soakDaemon) faulty(r *rand.Rand) string {
	text := d.text(r)
	switch r.IntN(4) {
	case 0:
		return text + "listeners: [\n"
	case 1:
		return text + "limit: {}\n"
	case 2:
		return strings.Replace(text, "upstream: behind", "upstream: nobody", 1)
	}
	return strings.Replace(text, d.listeners[listenerPlain], d.health, 1) // an address in use
}

// reloads changes the configuration, unless the daemon is being drained.
func (d *soakDaemon) reloads(r *rand.Rand) {
	if !d.mu.TryLock() {
		return
	}
	defer d.mu.Unlock()
	d.s.world.serving.RLock()
	defer d.s.world.serving.RUnlock()
	if r.IntN(5) == 0 {
		d.fault(r)
		return
	}
	d.reload(r)
}

// reload puts another configuration in place; r nil: the first one. The caller has mu.
func (d *soakDaemon) reload(r *rand.Rand) {
	there := r == nil || r.IntN(2) == 0
	d.extra.Lock() // once those who are about to connect there have been accepted
	was := d.extra.there
	d.extra.there = there
	text := d.text(r)
	d.extra.there = there && was
	d.extra.Unlock()
	if d.put(text, r, "reloaded by ", "SIGHUP", "watch") {
		d.extra.Lock()
		d.extra.there = there
		d.extra.Unlock()
	}
}

// fault writes a configuration that must be refused, and then another.
func (d *soakDaemon) fault(r *rand.Rand) {
	if d.put(d.faulty(r), r, "reload failed", "", "") {
		d.s.count.add("reloads: faulty file")
	}
	if _, body := d.get(d.health, "/metrics", soakPatience); !strings.Contains(body, "\nl4fwd_config_reload_success 0\n") {
		d.s.fail(fmt.Sprintf("daemon %d: no metric tells of the faulty file", d.index))
	}
	if _, body := d.get(d.health, "/readyz?verbose", soakPatience); !strings.Contains(body, "failed and changed nothing") {
		d.s.fail(fmt.Sprintf("daemon %d: /readyz?verbose does not show the faulty file", d.index))
	}
	d.reload(r)
}

// put writes a text, by SIGHUP or for the watch to find, and waits until the daemon has said that it was dealt with.
func (d *soakDaemon) put(text string, r *rand.Rand, said, sighup, watch string) bool {
	how := watch
	bySignal := r == nil || r.IntN(2) == 0
	if bySignal {
		how = sighup
	}
	before := d.log.times(said + how)
	d.write(text)
	if bySignal {
		d.signal(syscall.SIGHUP)
	}
	ok := d.await(said+how, func() bool { return d.log.times(said+how) > before })
	if ok && how != "" {
		d.s.count.add("reloads: " + how)
	}
	return ok
}

// restore has the daemon use the configuration that all begin with.
func (d *soakDaemon) restore() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reload(nil)
}
