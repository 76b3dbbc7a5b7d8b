package resolve

import (
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of resolv.conf(5): MAXNS, RES_MAXNDOTS, RES_MAXRETRANS, RES_MAXRETRY. The
// search list has none since glibc 2.26; ours keeps a broken file from costing a
// thousand questions a lookup.
const (
	maxServers  = 3
	maxNdots    = 15
	maxTimeout  = 30 * time.Second
	maxAttempts = 5
	maxSearch   = 32
	maxConfSize = 64 << 10
)

// config is what resolv.conf says. It is immutable once made.
type config struct {
	servers  []netip.AddrPort
	search   []string // lower case, without final dot
	ndots    int
	attempts int           // rounds through the servers
	timeout  time.Duration // 0: the file does not say
	rotate   bool
	tcp      bool // `use-vc`: never UDP
}

// defaultConfig is what an empty resolv.conf means.
func defaultConfig() *config {
	return &config{
		servers:  []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dnsPort)},
		ndots:    1,
		attempts: 2,
	}
}

// parseConf reads a resolv.conf(5). Like glibc it skips what it does not understand
// and never fails; a file without a usable server means 127.0.0.1.
//
// dns.ClientConfigFromReader agrees with it on what most files contain (a test
// compares the two), but it does not know rotate and use-vc, cannot distinguish a
// missing timeout from one of 5s, has no upper limits, accepts any word as a server
// and the root as a search domain, and stops without an error at an overlong line.
// parseConf ignores the environment (LOCALDOMAIN, RES_OPTIONS), sortlist, and
// single-request, which is for resolvers that ask twice from one socket.
func parseConf(data string) *config {
	c := defaultConfig()
	var servers []netip.AddrPort
	for line := range strings.Lines(data) {
		if line[0] == '#' || line[0] == ';' {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			if a, err := netip.ParseAddr(f[1]); err == nil && len(servers) < maxServers {
				servers = append(servers, netip.AddrPortFrom(a, dnsPort))
			}
		case "domain":
			c.search = searchList(f[1:2])
		case "search":
			c.search = searchList(f[1:])
		case "options":
			for _, o := range f[1:] {
				c.option(o)
			}
		}
	}
	if len(servers) > 0 {
		c.servers = servers
	}
	return c
}

// searchList returns the valid domains among words, in lower case, each once.
func searchList(words []string) []string {
	var list []string
	for _, w := range words {
		w = key(w)
		if checkHostName(w) == nil && len(list) < maxSearch && !slices.Contains(list, w) {
			list = append(list, w)
		}
	}
	return list
}

// option applies one word of an options line; unknown words and values are skipped.
func (c *config) option(o string) {
	name, value, _ := strings.Cut(o, ":")
	n, err := strconv.Atoi(value)
	number := err == nil && n >= 0
	switch {
	case name == "rotate":
		c.rotate = true
	case name == "use-vc" || name == "usevc" || name == "tcp": // glibc, FreeBSD, OpenBSD
		c.tcp = true
	case name == "ndots" && number:
		c.ndots = min(n, maxNdots)
	case name == "attempts" && number:
		c.attempts = min(max(n, 1), maxAttempts)
	case name == "timeout" && number:
		c.timeout = time.Duration(min(max(n, 1), int(maxTimeout/time.Second))) * time.Second
	}
}

// stamp identifies a version of a file; the zero value is a missing file. The inode
// counts (os.SameFile), since a file that is renamed into place may have the same
// size and second.
type stamp struct{ info os.FileInfo }

// stampOf returns the version of the file that is there now.
func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info}
}

// same reports whether two stamps are of the same version.
func (s stamp) same(o stamp) bool {
	if s.info == nil || o.info == nil {
		return s.info == nil && o.info == nil
	}
	return os.SameFile(s.info, o.info) && s.info.Size() == o.info.Size() && s.info.ModTime().Equal(o.info.ModTime())
}

// readFile returns up to limit bytes of a file, and none if it cannot be read: glibc
// goes on with its defaults then.
func readFile(path string, limit int64) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, _ := io.ReadAll(io.LimitReader(f, limit))
	return string(data)
}

// confFile is resolv.conf, parsed again when it changed.
type confFile struct {
	path string

	mu    sync.Mutex
	stamp stamp
	conf  *config
}

// get returns the configuration as it is now. It is shared: read it only. The stamp is
// taken before the file is read, so a change in between is noticed the next time.
func (f *confFile) get() *config {
	now := stampOf(f.path)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conf == nil || !f.stamp.same(now) {
		f.conf, f.stamp = parseConf(readFile(f.path, maxConfSize)), now
	}
	return f.conf
}
