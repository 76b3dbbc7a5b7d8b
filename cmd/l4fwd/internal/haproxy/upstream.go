package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// upstream is one entry of upstreams.
type upstream struct {
	name               string
	address            string
	addresses, backups []string
	balance            string // "": there is one address
	maxConnections     int
	connectTimeout     time.Duration // 0: l4fwd's own
	attempts           int
	oneByOne           bool // no second attempt beside the first
	check              check
	outlierFailures    int // -1: l4fwd's own
	sources            []netip.Addr
	sendProxy          string
}

// check is how an upstream is checked.
type check struct {
	kind, path        string // kind "": none
	interval, timeout time.Duration
	rise, fall        int
}

// upstreamName names the upstream of a target for clients of a port.
func (im *importer) upstreamName(t target, at uint16) string {
	name := t.proxy.name
	if t.server != "" {
		name += "." + t.server
	}
	if slices.ContainsFunc(im.servers(t.proxy), func(s *server) bool { return !s.faulty && s.port == 0 }) {
		name += ":" + strconv.Itoa(int(at))
	}
	return name
}

// upstream makes the upstream of a target, or returns the one that was made of it. ok is false if no server can be carried.
func (im *importer) upstream(t target, at uint16) (name string, ok bool) {
	name = im.upstreamName(t, at)
	if slices.ContainsFunc(im.out.upstreams, func(u *upstream) bool { return u.name == name }) {
		return name, true
	}
	p := t.proxy
	primaries, backups := im.standing(t)
	if len(primaries)+len(backups) == 0 {
		return "", false
	}
	if len(primaries) == 0 { // HAProxy uses backups while there is nothing else, which is always
		primaries, backups = backups, nil
	}
	u := &upstream{name: name, sendProxy: primaries[0].sendProxy(), outlierFailures: -1}
	u.setAddresses(primaries, backups, at)
	all := slices.Concat(primaries, backups)
	im.balance(p, t, u, primaries, backups)
	im.connecting(p, u, all)
	im.checking(p, u, all)
	im.passive(u, all)
	im.serverLimits(p, u, primaries)
	im.leaving(p, u, all)
	im.out.upstreams = append(im.out.upstreams, u)
	return name, true
}

// setAddresses fills in where the upstream leads, each address once.
func (u *upstream) setAddresses(primaries, backups []*server, at uint16) {
	for _, s := range primaries {
		if e := s.endpoint(at); !slices.Contains(u.addresses, e) {
			u.addresses = append(u.addresses, e)
		}
	}
	u.address, u.addresses = u.addresses[0], u.addresses[1:]
	for _, s := range backups {
		if e := s.endpoint(at); e != u.address && !slices.Contains(u.addresses, e) && !slices.Contains(u.backups, e) {
			u.backups = append(u.backups, e)
		}
	}
}

// standing sorts the servers of a target into primaries and backups, without those that cannot be carried or would be sent
// another PROXY header than the first.
func (im *importer) standing(t target) (primaries, backups []*server) {
	header := ""
	seen := map[string]bool{}
	for _, s := range im.servers(t.proxy) {
		if s.faulty {
			continue
		}
		if header == "" {
			header = s.sendProxy()
		}
		switch key := s.host + ":" + strconv.Itoa(s.port); {
		case s.sendProxy() != header:
			im.dropped(s.at, s.at.text(), "an upstream sends all its servers the same PROXY header, and the first one gets "+header)
			continue
		case seen[key]:
			im.harmless(s.at, s.at.text(), "an earlier line has the same address")
			continue
		default:
			seen[key] = true
		}
		backup := s.options.has("backup")
		if t.server != "" {
			backup = s.name != t.server // use-server: others serve only while the one is down
		}
		if backup {
			backups = append(backups, s)
		} else {
			primaries = append(primaries, s)
		}
	}
	im.backupsDiffer(t.proxy, primaries, backups)
	return primaries, backups
}

// backupsDiffer remarks on what l4fwd does otherwise with backups.
func (im *importer) backupsDiffer(p *proxy, primaries, backups []*server) {
	if len(primaries) == 0 {
		return
	}
	for i, s := range backups {
		if !s.options.has("backup") {
			continue
		}
		if i > 0 && !p.has("option allbackups") && !inOrder(p, primaries, backups) {
			im.changed(s.at, s.at.text(), "l4fwd uses all backups at a time, HAProxy without option allbackups the first that works")
			continue
		}
		im.note(s.at, "backup", "a connection that failed at every primary tries the backup, too")
	}
}

// inOrder reports whether the balance first does what HAProxy does with backups: it uses the first that works.
func inOrder(p *proxy, primaries, backups []*server) bool {
	return len(backups) > 1 && len(primaries) == 1 && !primaries[0].isName() && !p.has("option allbackups") && backups[0].options.has("backup")
}

// balance carries balance, weights and what binds a client to a server.
func (im *importer) balance(p *proxy, t target, u *upstream, primaries, backups []*server) {
	several := len(primaries) > 1 || primaries[0].isName()
	u.balance = im.balanceMethod(p, several)
	switch {
	case inOrder(p, primaries, backups):
		u.balance = "first"
	case !several:
		u.balance = ""
	}
	for _, s := range primaries {
		if s.weight() != primaries[0].weight() && t.server == "" {
			im.dropped(s.at, "weight "+s.weight(), "servers of an upstream have equal shares")
		}
	}
	for _, l := range p.each("stick") {
		if len(primaries) > 1 {
			im.dropped(l, l.text(), "a client does not stay with one server: l4fwd has no stick tables")
		} else {
			im.harmless(l, l.text(), onlyServer)
		}
	}
}

// balanceMethod returns l4fwd's balance for that of HAProxy.
func (im *importer) balanceMethod(p *proxy, several bool) string {
	method, at := p.argument("balance")
	switch method, _, _ = strings.Cut(method, "("); method { // random(2)
	case "leastconn":
	case "roundrobin", "static-rr", "":
		return "round_robin"
	case "first":
		return "first"
	case "random":
		im.note(at, at.text(), "least_conn takes the server with the fewest connections of all, not of two drawn at random")
	default:
		if several {
			im.changed(at, at.text(), "a client does not stay with one server: l4fwd balances by least_conn")
		} else {
			im.harmless(at, at.text(), onlyServer)
		}
	}
	return "least_conn"
}

// onlyServer is why a directive that distributes clients is harmless.
const onlyServer = "there is one server only"

// connecting carries timeout connect, retries and redispatch.
func (im *importer) connecting(p *proxy, u *upstream, all []*server) {
	u.connectTimeout = im.duration(p, "timeout connect", 10*time.Millisecond, 5*time.Minute)
	u.oneByOne = len(u.backups) > 0 || u.balance == "first"
	retries, at := p.argument("retries")
	n := 3
	if v, err := strconv.Atoi(retries); err == nil && v >= 0 {
		if n = min(v, 99); v > n {
			im.changed(at, at.text(), "l4fwd makes at most 100 attempts")
		}
	}
	u.attempts = n + 1
	several := len(all) > 1 || all[0].isName()
	if retries != "" && n > 0 && !several {
		im.harmless(at, at.text(), "a connection tries an address once, and there is one only")
	}
	if _, on := p.setting("option redispatch"); !on && n > 0 && len(all) > 1 {
		where := p.section.at
		if retries != "" {
			where = at
		}
		im.note(where, "retries without option redispatch", "each attempt uses another server of the upstream")
	}
}

// serverLimits carries maxconn of servers.
func (im *importer) serverLimits(p *proxy, u *upstream, primaries []*server) {
	sum, limited := 0, 0
	for _, s := range primaries {
		if n, err := strconv.Atoi(s.options.value("maxconn")); err == nil && n > 0 {
			sum += n
			limited++
		}
	}
	if limited == 0 {
		return
	}
	if limited < len(primaries) {
		for _, s := range primaries {
			if v := s.options.value("maxconn"); v != "" {
				im.dropped(s.at, "maxconn "+v, "l4fwd limits the connections of a whole upstream, and another server has no limit")
			}
		}
		return
	}
	u.maxConnections = min(sum, 10_000_000)
	for _, s := range primaries {
		why := fmt.Sprintf("max_connections: %d holds for the whole upstream, and a client beyond it is refused at once", u.maxConnections)
		im.note(s.at, "maxconn "+s.options.value("maxconn"), why)
	}
	if queue, ok := p.setting("timeout queue"); ok {
		im.dropped(queue, queue.text(), "clients beyond a limit are refused at once and do not queue")
	}
}

// passive carries observe layer4 and error-limit.
func (im *importer) passive(u *upstream, all []*server) {
	if len(all) > 1 {
		u.outlierFailures = 0
	}
	for _, s := range all {
		observe := s.options.value("observe")
		switch {
		case observe == "layer4":
			u.outlierFailures = 10
			if n, err := strconv.Atoi(s.options.value("error-limit")); err == nil && n > 0 && n <= 1_000_000 {
				u.outlierFailures = n
			}
			im.note(s.at, "observe layer4", "outlier ejects an address for a while after as many failed connects")
		case observe != "":
			im.harmless(s.at, "observe "+observe, whyHTTP)
		}
		if v := s.options.value("on-error"); v != "" && observe == "layer4" && v != "mark-down" {
			im.note(s.at, "on-error "+v, "an address that fails so often is ejected")
		}
	}
}
