package preface

import (
	"net/netip"
	"strings"
)

// Of DNS (RFC 1035, section 2.3.4), without the trailing dot.
const (
	maxName  = 253
	maxLabel = 63
)

// normalize returns a host name in lower case without its trailing dot, or what is wrong with it.
func normalize(name string) (host, fault string) {
	host = strings.TrimSuffix(name, ".")
	switch {
	case host == "":
		return "", "is empty"
	case len(host) > maxName:
		return "", "is longer than 253 characters"
	}
	upper, label := false, 0
	for i := range len(host) {
		c := host[i]
		switch {
		case c == '.':
			if label == 0 {
				return "", "has an empty label"
			}
			label = 0
			continue
		case 'A' <= c && c <= 'Z':
			upper = true
		case c >= 0x80:
			return "", "is not ASCII: an international name is written as in DNS, xn--…"
		case ('a' > c || c > 'z') && ('0' > c || c > '9') && c != '-' && c != '_':
			return "", "has a character that no host name has"
		}
		if label++; label > maxLabel {
			return "", "has a label longer than 63 characters"
		}
	}
	if label == 0 {
		return "", "has an empty label"
	}
	if upper {
		host = strings.ToLower(host)
	}
	return host, ""
}

// CheckPattern says what is wrong with an entry of a route's sni list, in words that follow the entry; "" means nothing.
// An entry is a host name, or one with *. in place of its first label.
func CheckPattern(pattern string) (fault string) {
	name, wildcard := strings.CutPrefix(pattern, "*.")
	switch {
	case strings.Contains(pattern, "://") || strings.Contains(pattern, "/"):
		return "is a URL: only the host name goes here"
	case isAddress(pattern):
		return "is an IP address, which clients do not send as a name"
	case strings.Contains(pattern, ":"):
		return "has a port: only the host name goes here"
	case pattern == "*" || wildcard && name == "":
		return "names nothing: a listener that lets every name through has no routes"
	case strings.Contains(name, "*"):
		return "has a * elsewhere than as the whole first label, like *.example.com"
	case strings.HasPrefix(pattern, "."):
		return "begins with a dot: the names below a domain are *" + pattern
	}
	_, fault = normalize(name)
	return fault
}

// isAddress reports whether s is an IP address, also one in brackets.
func isAddress(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil
}
