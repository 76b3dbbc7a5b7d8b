package proxy

import (
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// limitKeys are the keys of the limits that can refuse a client, or end its connection.
var limitKeys = map[relay.Reason]string{
	relay.LimitConnections: "limits.max_connections",
	relay.LimitSource:      "limits.per_source",
	relay.LimitUpstream:    "upstreams[].max_connections",
	relay.LimitRate:        "limits.accept_rate",
	relay.LimitMemory:      "limits.buffered",
}

// limitLog logs that a limit refuses clients, or ends connections, at most once every throttleGap for each reason.
type limitLog [reasons]throttle

// refused is called for each connection that ends. It allocates nothing unless there is a line to write.
func (l *limitLog) refused(p *policy, s *relay.Summary, upstream string) {
	if limitKeys[s.Reason] == "" || s.Attempts > 0 && s.Reason != relay.LimitMemory {
		return // limit_connections is also the reason of an attempt that finds no descriptor
	}
	now, due := time.Now(), &l[s.Reason]
	if !due.due(now) {
		return
	}
	due.logged(now)
	reason, listener, client := s.Reason, s.Listener.Name, s.Client
	p.access.event(func() {
		what := "a limit refuses clients"
		if reason == relay.LimitMemory {
			what = "a limit ends connections"
		}
		p.log.Warn(what, zap.String("reason", reason.String()), zap.String("key", limitKeys[reason]),
			zap.String("listener", listener), zap.String("upstream", upstream), zap.Stringer("client", client))
	})
}
