package haproxy

import (
	"slices"
	"strings"
)

// globalFates are the directives of global by their first word, or the beginning of it.
var globalFates = byName([]group[fate]{
	{fate{why: "systemd runs l4fwd"}, `daemon`},
	{fate{why: "the unit has it"}, `user, group, uid, gid`},
	{fate{why: "the unit protects the system"}, `chroot, insecure-`},
	{fate{why: "systemd knows the process"}, `pidfile`},
	{fate{why: "l4fwd writes its log to standard error"}, `log`},
	{fate{why: whyLog}, `log-tag, log-send-hostname, anonkey`},
	{fate{why: whyStats}, `stats, node, description, shm-stats`},
	{fate{why: "the unit has LimitNOFILE"}, `ulimit-n`},
	{fate{why: "limits.max_connections bounds the files"}, `fd-hard-limit`},
	{fate{why: "limits.max_connections is lowered to what RLIMIT_NOFILE allows"}, `strict-limits`},
	{fate{why: "l4fwd does not pin its loops"}, `cpu-map, numa-cpu-mapping, cpu-policy, cpu-set`},
	{fate{why: "there is one process"}, `nbproc, jobs`},
	{fate{why: "see loops"}, `thread-groups, thread-group`},
	{fate{why: "l4fwd has no such setting, and adapts by itself"}, `tune.`},
	{fate{why: "TLS passes through untouched"}, `ssl-, ca-base, crt-base, key-base, issuers-chain-path, maxsslconn, maxsslrate`},
	{fate{why: "l4fwd runs no Lua; a rule that uses it is reported by itself"}, `lua-`},
	{fate{why: "l4fwd reload loses no connection"}, `master-worker, mworker-`},
	{fate{why: whySplice}, `nosplice, maxpipes`},
	{fate{why: "see engine"}, `noepoll, nopoll, nokqueue, noevports, busy-polling`},
	{fate{why: whySocket}, `noreuseport`},
	{fate{matters: true, why: "l4fwd does not refuse clients by their port"}, `harden.`},
	{fate{why: "checks are spread by up to a tenth"}, `spread-checks, max-spread-checks`},
	{fate{why: "there are no peers"}, `localpeer`},
	{fate{why: "the unit has LimitCORE"}, `set-dumpable`},
	{fate{why: "the checks of l4fwd are tcp, tls and https"}, `external-check`},
	{fate{why: "a reload keeps what is known of addresses"}, `server-state-`},
	{fate{why: whyUnit}, `unix-bind`},
	{fate{why: "see log.level"}, `quiet, debug, trace`},
	{fate{why: "l4fwd check reports every fault"}, `zero-warning`},
	{fate{why: "there are none"}, `expose-`},
	{fate{why: whyHTTP}, `h1-, h2-, http, maxcomp, maxzlibmem, wurfl, 51degrees, deviceatlas`},
	{fate{why: "use /debug/pprof"}, `profiling.`},
	{fate{why: "it is for files that the file names"}, `default-path`},
	{fate{why: "it is for QUIC"}, `cluster-secret, no-quic, limited-quic`},
	{fate{matters: true, why: "l4fwd limits the rate of new connections: limits.accept_rate"}, `maxsessrate`},
	{fate{handled: true}, `presetenv, setenv, unsetenv, resetenv, maxconn, maxconnrate, nbthread, hard-stop-after, grace,
		prealloc-fd`},
	{fate{why: "it is for HAProxy's memory"}, `no-memory-trimming`},
	{fate{why: "names are resolved by DNS"}, `nogetaddrinfo`},
	{fate{why: "a check of type tcp sends no header"}, `pp2-never-send-local`},
	{fate{why: "there are no variables"}, `set-var`},
	{fate{why: "l4fwd uses addresses of both families in turn"}, `dns-accept-family`},
	{fate{why: "it is for HAProxy's tests"}, `stress-level`},
	{fate{why: "it is for HAProxy's log"}, `warn-`},
	{fate{why: "a drain closes connections at its end"}, `close-spread-time`},
	{fate{why: "it is off here, too"}, `no`},
})

// longestWord bounds the beginnings of a word that are looked up.
const longestWord = 40

// globalRest reports a directive of global that is not carried.
func (im *importer) globalRest(l line) {
	f, known := globalFate(l.words[0])
	switch {
	case !known:
		im.dropped(l, l.text(), "l4fwd does not know this directive")
	case !f.handled:
		im.remark(l, true, f.matters, l.text(), f.why)
	}
}

// globalFate finds the fate of a directive by its name, or by a beginning of it that ends in - or a dot or stands for a family.
func globalFate(word string) (f fate, known bool) {
	if f, known = globalFates[word]; known {
		return f, true
	}
	families := []string{"http", "wurfl", "51degrees", "deviceatlas", "maxcomp"}
	for prefix := word[:min(len(word), longestWord)]; prefix != ""; prefix = prefix[:len(prefix)-1] {
		if f, known = globalFates[prefix]; known && (strings.HasSuffix(prefix, "-") || strings.HasSuffix(prefix, ".") ||
			slices.Contains(families, prefix)) {
			return f, true
		}
	}
	return fate{}, false
}
