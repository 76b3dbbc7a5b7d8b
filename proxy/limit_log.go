package proxy

import (
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// limitKeys are the keys of the limits that can refuse a client.
var limitKeys = map[relay.Reason]string{
	relay.LimitConnections: "limits.max_connections",
	relay.LimitSource:      "limits.per_source",
	relay.LimitUpstream:    "upstreams[].max_connections",
	relay.LimitRate:        "limits.accept_rate",
}

// limitLog logs that a limit refuses clients, at most once every throttleGap for each reason.
type limitLog [reasons]throttle

// refused is called for each connection that ends. It allocates nothing unless there is a line to write.
func (l *limitLog) refused(p *policy, s *relay.Summary, upstream string) {
	if s.Attempts > 0 || limitKeys[s.Reason] == "" {
		return
	}
	now, due := time.Now(), &l[s.Reason]
	if !due.due(now) {
		return
	}
	due.logged(now)
	reason, listener, client := s.Reason, s.Listener.Name, s.Client
	p.access.event(func() {
		p.log.Warn("a limit refuses clients", zap.String("reason", reason.String()), zap.String("key", limitKeys[reason]),
			zap.String("listener", listener), zap.String("upstream", upstream), zap.Stringer("client", client))
	})
}
