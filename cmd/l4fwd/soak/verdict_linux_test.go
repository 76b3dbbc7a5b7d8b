package soak

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// soakVerdicts says how a connection may end that does what the client wants: the reasons in the access log, for each
// kind of client. The bytes of those that talk to their end must be those that the client counted.
//
// Any other end, and each of which the client saw that it came too early, needs one of these causes (soak.cause), for
// each of which the harness has a record of when it did it:
//
//   - killed: l4fwd had connected it to an address whose server died at some time from its accept to its end. A server
//     that dies after the handshake of TCP and before it sent a byte is such a one too: what the client sent may have
//     been taken by it, so nobody could send it again to another. It is counted apart. An attempt that was refused or
//     not answered is none: that is to be made again at another address.
//     A warm connection may be older than its client, and its server have fallen silent before: then the reset is what
//     counts, where what the client sent was too much to be sent again.
//   - dark: the path to its address was cut. It must end as upstream_lost within keepalive.user_timeout of that
//     and of its age of five seconds, at which it gets keepalives.
//   - idle_timeout, half_close_timeout: its server did not answer, for at least so long.
//   - address_removed: its address had left the answer of an upstream that closes, for at least close_after, and was
//     not back for longer than soakLearn.
//   - drain_timeout: its daemon was being drained, for lame_duck and timeout.
//   - no path: it could not be connected, and no address was live and listed all the time. Events leave one (anchored), so
//     there should be none.
//   - late: it could not connect since the harness itself took longer than lame_duck to try.
var soakVerdicts = map[string][]string{
	doTalk:      {"client_closed"},
	doHalfClose: {"client_closed"},
	doReset:     {"client_reset", "probe"},
	doVanish:    {"client_reset", "client_closed", "probe"},
	doNothing:   {"probe", "client_closed", "client_reset"},
	doTrickle:   {"preface_timeout"},
	doUnlisted:  {"sni_unlisted"},
	doBadHeader: {"proxy_header_bad"},
	doProbe:     {"probe"},
}

func (s *soak) judge(res *soakResult, a *soakAccess) {
	if why := s.misled(res, a); why != "" {
		s.fail(fmt.Sprintf("%s\n\t%v\n\t%s", why, res, a.text))
		return
	}
	if s.outlived(res, a) {
		s.fail(fmt.Sprintf("outlived the longest of its timeouts\n\t%v\n\t%s", res, a.text))
	}
	if s.outstayed(res, a) {
		s.fail(fmt.Sprintf("stayed on an address that left\n\t%v\n\t%s", res, a.text))
	}
	if res.err == nil && slices.Contains(soakVerdicts[res.does], a.Reason) {
		talked := res.does == doTalk || res.does == doHalfClose
		if talked && (a.Up != res.sent || a.Down != res.got) {
			s.fail(fmt.Sprintf("bytes differ\n\t%v\n\t%s", res, a.text))
		}
		if talked && a.Attempts > 1 {
			s.count.add("connections served at a further attempt")
		}
		if talked {
			s.count.add("connections served to their end")
		}
		return
	}
	cause := s.cause(res, a)
	if cause == "" {
		s.fail(fmt.Sprintf("failed for no cause\n\t%v\n\t%s\n\t%s", res, a.text,
			s.world.server(a.UpstreamAddr).lately(a.opened().Add(-time.Second), a.Time.Add(time.Second))))
		return
	}
	s.count.add("failures: " + cause)
}

// misled tells what is wrong with where the connection came to.
func (s *soak) misled(res *soakResult, a *soakAccess) string {
	want := map[string][]int{"plain": {0}, "extra": {0}, "proxy": {3}}[a.Listener]
	if a.Listener == "tls" {
		want = map[string][]int{"one.soak": {1}, "two.soak": {2}, "either.soak": {1, 2}}[res.name]
	}
	var altered soakAltered
	switch {
	case errors.As(res.err, &altered):
		return altered.Error()
	case a.Listener != listenerNames[res.listener] || a.d != res.d:
		return "another listener"
	case res.upstream >= 0 && !slices.Contains(want, res.upstream):
		return "served by an upstream that is none of its own"
	case res.greeted != "" && res.greeted != a.UpstreamAddr:
		return "served by another address than the log says"
	}
	return ""
}

// outlived reports whether a connection was open for longer than its timeouts allow: after its client had gone, or after the path to its
// server went dark. While the client is there, and hears from its server, it is soakPatience that reports what goes on for too long.
func (s *soak) outlived(res *soakResult, a *soakAccess) bool {
	after := a.Time.Sub(res.ended)
	s.count.most("milliseconds that a connection outlived its client, at most", int(after.Milliseconds()))
	if v := s.world.server(a.UpstreamAddr); v != nil && res.greeted != "" {
		if since, dark := v.darkFor(a.opened(), a.Time); dark {
			s.count.most("milliseconds that a connection outlived its path, at most", int(since.Milliseconds()))
			if since > soakUserTimeout+soakBusy {
				return true
			}
		}
	}
	return after > max(soakHalfClose, soakUserTimeout)+soakBusy
}

// lost returns the cause of an end as upstream_lost: the path was dark, and not for longer than the end may take.
func (v *soakServer) lost(from, to time.Time) string {
	since, dark := v.darkFor(from, to)
	if !dark || since > soakUserTimeout+soakBusy {
		return ""
	}
	return "dark"
}

// darkFor returns for how long, of a connection's time from from to to, its path had been dark at the end, and whether it was. The first
// seconds of a connection do not count, since it has no keepalives upstream yet.
func (v *soakServer) darkFor(from, to time.Time) (time.Duration, bool) {
	begun, dark := v.darkened.latest(from, to)
	if watched := from.Add(soakUnwatched); begun.Before(watched) {
		begun = watched
	}
	return to.Sub(begun), dark
}

// outstayed reports whether a connection was open for longer than on_removed allows: close_after, and until DNS is
// known, which a name that does not resolve puts off. Once its client has gone, outlived judges it.
func (s *soak) outstayed(res *soakResult, a *soakAccess) bool {
	v := s.world.server(a.UpstreamAddr)
	if v == nil || !v.up.closes {
		return false
	}
	to := a.Time
	if res.ended.Before(to) {
		to = res.ended
	}
	left, gone := v.up.listed[v.index].away(a.opened(), to, soakCloseAfter+soakLearn)
	return gone && !v.up.outages.any(func(sp soakSpan) bool { return sp.meets(left.Add(-4*soakLearn), left.Add(soakCloseAfter+soakLearn)) })
}

// cause returns which of the causes allows this end; none: nothing does.
func (s *soak) cause(res *soakResult, a *soakAccess) string {
	const grain = 20 * time.Millisecond // of the clocks: a loop reads its own once a turn
	from, to := a.opened().Add(-grain), a.Time.Add(grain)
	v := s.world.server(a.UpstreamAddr)
	switch a.Reason {
	case "upstream_lost":
		if v != nil {
			return v.lost(from, to)
		}
	case "idle_timeout", "half_close_timeout":
		if v != nil && !v.lived.any(func(sp soakSpan) bool { return sp.covers(to.Add(-soakHalfClose), to) }) {
			return a.Reason + " of a server that did not answer"
		}
	case "upstream_reset", "upstream_closed", "client_closed", "client_reset":
		if v == nil || res.err != nil && isTimeout(res.err) {
			return ""
		}
		if !v.died.any(func(sp soakSpan) bool { return sp.meets(from, to) }) {
			if v.up.warm && v.buried.any(func(sp soakSpan) bool { return sp.from.After(from) && sp.from.Before(to) }) {
				return "killed, on a warm connection to a silent server"
			}
			return ""
		}
		if res.greeted == "" {
			return "killed, before its first byte"
		}
		return "killed"
	case "address_removed":
		if v != nil && v.up.closes && v.up.listed[v.index].gap(a.Time.Add(grain), soakCloseAfter, soakLearn) {
			return "address_removed"
		}
	case "drain_timeout":
		if a.d.drains.any(func(sp soakSpan) bool {
			return sp.meets(to.Add(-soakLameDuck-soakDrainTime), to) && !a.Time.Add(grain).Before(sp.from.Add(soakLameDuck+soakDrainTime))
		}) {
			return "drain_timeout"
		}
	case "connect_refused", "connect_timeout", "connect_unreachable", "no_address":
		if u := s.upstreamNamed(a.Upstream); u != nil && !u.livePath(from, to) {
			return "no path"
		}
	}
	return ""
}

func (s *soak) upstreamNamed(name string) *soakUpstream {
	for _, u := range s.world.ups {
		if u.name == name {
			return u
		}
	}
	return nil
}

// judgeRefused judges a client that could not even connect to the daemon.
func (s *soak) judgeRefused(res *soakResult) {
	if res.stale {
		s.count.add("failures: late")
		return
	}
	s.fail(fmt.Sprintf("could not connect\n\t%v", res))
}
