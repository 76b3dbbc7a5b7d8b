package proxy

import (
	"maps"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/resolve"
)

// lookups counts DNS lookups by name and result.
type lookups struct {
	mu     sync.Mutex
	counts map[[2]string]uint64
	failed map[string]bool // names whose last lookup failed
}

// LookupResults lists the values of the label result of l4fwd_dns_lookups_total.
func LookupResults() []string {
	var all []string
	for _, r := range resolve.Results() {
		all = append(all, r.String())
	}
	return all
}

// count counts a lookup, and reports whether the previous lookup of the same name failed. A failure is remembered only for a name
// that is in use.
func (l *lookups) count(k resolve.Lookup, used bool) (failedBefore bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = make(map[[2]string]uint64)
		l.failed = make(map[string]bool)
	}
	l.counts[[2]string{k.Name, k.Result.String()}]++
	failedBefore = l.failed[k.Name]
	l.failed[k.Name] = used && k.Err != nil
	return failedBefore
}

// forget forgets the counts of the names for which due returns true.
func (l *lookups) forget(due func(name string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	decided := map[string]bool{}
	for key := range l.counts {
		name := key[0]
		if _, ok := decided[name]; !ok {
			decided[name] = due(name)
		}
	}
	maps.DeleteFunc(l.counts, func(key [2]string, _ uint64) bool { return decided[key[0]] })
	maps.DeleteFunc(l.failed, func(name string, _ bool) bool { return decided[name] })
}

// all returns a copy of the counts.
func (l *lookups) all() map[[2]string]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// lookedUp counts a lookup and logs it at the level that an operator needs: the first failure in a row, and every change. A
// name that only a reload under way uses concerns no client yet, and the reload reports how it ended.
func (s *Server) lookedUp(l resolve.Lookup) {
	used := s.policy.table.Load().names(l.Name)
	failedBefore := s.lookups.count(l, used)
	name, result := zap.String("name", l.Name), zap.Stringer("result", l.Result)
	switch {
	case !used && l.Err != nil:
		s.log.Debug("dns lookup failed for a configuration that is not in use", name, result, zap.Error(l.Err))
	case !used:
		s.log.Debug("dns answer for a configuration that is not in use", name, zap.String("addresses", join(l.Addrs)))
	case l.Err != nil && !failedBefore && len(l.Addrs) == 0:
		s.log.Warn("dns lookup failed, and there is no earlier answer: clients are refused with no_address until one comes; "+
			"check the name in upstreams[].address, and dns.servers", name, result, zap.Error(l.Err))
	case l.Err != nil && !failedBefore:
		s.log.Warn("dns lookup failed: the last good answer stays in use", name, result, zap.Error(l.Err), zap.Int("addresses_in_use", len(l.Addrs)))
	case l.Err != nil:
		s.log.Debug("dns lookup failed again", name, result, zap.Error(l.Err))
	case failedBefore:
		s.log.Info("dns lookup succeeds again: its answer is in use", name, zap.String("addresses", join(l.Addrs)))
	case l.Changed:
		s.log.Info("dns answer changed", name, zap.String("addresses", join(l.Addrs)),
			zap.String("added", join(l.Added)), zap.String("removed", join(l.Removed)), zap.Duration("ttl", l.TTL))
	}
}

// join writes a list with commas.
func join[T interface{ String() string }](list []T) string {
	text := make([]string, len(list))
	for i, v := range list {
		text[i] = v.String()
	}
	return strings.Join(text, ",")
}
