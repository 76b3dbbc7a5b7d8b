package haproxy

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// HAProxy's own settings of a check.
const (
	defaultInter = 2 * time.Second
	defaultRise  = 2
	defaultFall  = 3
)

// ownChecks are checks that speak a protocol, and judge more than l4fwd does.
var ownChecks = []string{"option httpchk", "option mysql-check", "option pgsql-check", "option redis-check", "option ldap-check",
	"option smtpchk", "option spop-check",
	"option external-check", "option ssl-hello-chk"}

// checking carries how the servers are checked.
func (im *importer) checking(p *proxy, u *upstream, all []*server) {
	first := slices.IndexFunc(all, func(s *server) bool { return s.options.has("check") })
	if first < 0 {
		return
	}
	s := all[first]
	for _, other := range all {
		if !other.options.has("check") {
			im.note(other.at, other.name+" without check", "l4fwd checks every address of an upstream, or none")
		}
	}
	c := check{
		kind:     "tcp",
		interval: im.serverDuration(s, "inter", defaultInter, 100*time.Millisecond, 24*time.Hour),
		rise:     count(s.options.value("rise"), defaultRise),
		fall:     count(s.options.value("fall"), defaultFall),
	}
	c.timeout = min(c.interval, 5*time.Minute)
	if u.connectTimeout > 0 {
		c.timeout = min(c.timeout, u.connectTimeout)
	}
	im.unlike(s, all)
	if s.options.has("check-ssl") {
		im.secureCheck(p, u, &c, s)
	}
	im.protocolCheck(p, &c, s)
	im.timeoutCheck(p, &c)
	u.check = c
}

// timeoutCheck carries how long the answer to a check may take, which comes after the connect.
func (im *importer) timeoutCheck(p *proxy, c *check) {
	more := im.duration(p, "timeout check", 10*time.Millisecond, 5*time.Minute)
	switch text, at := p.argument("timeout check"); {
	case more == 0:
	case c.kind == "tcp":
		im.note(at, "timeout check "+text, "it is for the answer to a check, and a check of type tcp awaits none")
	default:
		c.timeout = min(c.timeout+more, 5*time.Minute)
	}
}

// count reads how often a check must pass or fail.
func count(text string, otherwise int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return otherwise
	}
	return min(n, 1000)
}

// unlike remarks on servers whose checks differ from those of the first.
func (im *importer) unlike(first *server, all []*server) {
	for _, s := range all {
		if !s.options.has("check") {
			continue
		}
		for _, name := range []string{"inter", "rise", "fall", "check-ssl"} {
			if s.checkSetting(name) != first.checkSetting(name) {
				im.note(s.at, name, "all addresses of an upstream are checked alike, as "+first.name+" is")
			}
		}
	}
}

// checkSetting is what an option of a check comes to, HAProxy's own value included.
func (s *server) checkSetting(name string) string {
	switch text := s.options.value(name); {
	case name == "check-ssl":
		return strconv.FormatBool(s.options.has(name))
	case name == "rise" && text == "":
		return strconv.Itoa(defaultRise)
	case name == "fall" && text == "":
		return strconv.Itoa(defaultFall)
	case name == "inter":
		if d, ok := parseTime(text); ok {
			return d.String()
		}
		return defaultInter.String()
	default:
		return text
	}
}

// secureCheck carries check-ssl, unless the certificate could not be verified as l4fwd does.
func (im *importer) secureCheck(p *proxy, u *upstream, c *check, s *server) {
	o := s.options
	authorities := o.value("ca-file")
	switch name := o.value("check-sni"); {
	case o.value("verify") == "none":
		im.changed(s.at, "check-ssl verify none",
			"l4fwd always verifies the certificate, so the check is of type tcp: set check.type to tls if it is valid")
	case authorities != "" && authorities != "@system-ca" && !strings.Contains(authorities, "ca-certificates"):
		im.changed(s.at, "check-ssl ca-file "+authorities,
			"the check is of type tcp: set check.type to tls, and start l4fwd with SSL_CERT_FILE, if the authority is not one of the system's")
	case !s.isName() || name != "" && !strings.HasPrefix(u.address, name+":"):
		im.changed(s.at, "check-ssl",
			"l4fwd asks for the host of the upstream's address, so the check is of type tcp: name the upstream by its DNS name for type tls")
	default:
		c.kind = "tls"
	}
}

// protocolCheck carries checks that speak a protocol.
func (im *importer) protocolCheck(p *proxy, c *check, s *server) {
	for _, key := range ownChecks {
		l, on := p.setting(key)
		if !on {
			continue
		}
		if key == "option httpchk" && c.kind == "tls" {
			c.kind, c.path = "https", checkPath(l.words[2:])
			im.changed(l, l.text(), "a GET of check.path, and any answer passes")
			continue
		}
		im.changed(l, l.text(), "the check is of type "+c.kind+": a server that takes connections passes, whatever it would answer")
	}
	for _, directive := range []string{"http-check", "tcp-check"} {
		for _, l := range p.each(directive) {
			plain := directive == "tcp-check" && len(l.words) == 2 && l.words[1] == "connect"
			if p.has("option httpchk") && directive == "http-check" || p.has("option tcp-check") && directive == "tcp-check" && !plain {
				im.dropped(l, l.text(), "the check is of type "+c.kind+": a server that takes connections passes, whatever it would answer")
			}
		}
	}
}

// checkPath is the path of option httpchk [METHOD] PATH [VERSION].
func checkPath(words []string) string {
	for _, w := range words {
		if strings.HasPrefix(w, "/") && len(w) <= 2048 && !strings.ContainsFunc(w, func(r rune) bool {
			return r <= ' ' || r >= 0x7f ||
				r == '#'
		}) {
			return w
		}
	}
	return "/"
}
