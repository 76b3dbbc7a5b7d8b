package resolve

import (
	"errors"
	"net/netip"
	"strings"
)

// RFC 1035 2.3.4, less the root's empty label and the length bytes.
const (
	maxNameLen  = 253
	maxLabelLen = 63
)

// parseName returns the address that name is, or the zero Addr for a host name.
func parseName(name string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		a = a.Unmap()
		if !usable(a) {
			return netip.Addr{}, errors.New("nobody can be connected to at this address (unspecified, multicast, or link-local without a zone)")
		}
		return a, nil
	}
	return netip.Addr{}, checkHostName(strings.TrimSuffix(name, "."))
}

// checkHostName is stricter than the DNS, which allows any byte in a name. In a
// configuration, other characters than letters, digits, hyphen and underscore are
// mistakes, and an error at the start is better than NXDOMAIN at night.
func checkHostName(name string) error {
	if name == "" {
		return errors.New("host name is empty")
	}
	if len(name) > maxNameLen {
		return errors.New("host name is longer than 253 bytes")
	}
	var last string
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabelLen {
			return errors.New("host name has an empty label or one of more than 63 bytes")
		}
		for i := range len(label) {
			if label[i] >= 0x80 {
				return errors.New("host name is not ASCII: write it in its xn-- form")
			}
			if !hostByte(label[i]) {
				return errors.New("host name has a character that is no letter, digit, hyphen, underscore or dot")
			}
		}
		last = label
	}
	if strings.Trim(last, "0123456789") == "" {
		return errors.New("neither an IP address nor a host name: the last label has only digits")
	}
	return nil
}

// hostByte reports whether c may stand in a label of a host name.
func hostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// key is the form in which names are compared: lower case (RFC 4343) and without the
// final dot. It takes names in presentation format, which escapes bytes outside ASCII.
func key(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// isLocalhost reports whether the name is one that never goes to a server (RFC 6761 6.3).
func isLocalhost(key string) bool {
	return key == "localhost" || strings.HasSuffix(key, ".localhost")
}

// candidate is one of the absolute names a given name may stand for.
type candidate struct {
	fqdn string // with the final dot
	asIs bool   // the given name itself, not completed from the search list
}

// candidates returns the names to ask for, in the order of glibc's res_search: a
// name with at least ndots dots is tried as written first, otherwise last; a trailing
// dot makes it absolute. Names that are too long are left out. Unlike glibc it does not
// derive a search list from the machine's host name.
func candidates(c *config, name string) []candidate {
	asIs := candidate{fqdn: key(name) + ".", asIs: true}
	if strings.HasSuffix(name, ".") {
		return []candidate{asIs}
	}
	list := make([]candidate, 0, len(c.search)+1)
	for _, suffix := range c.search {
		if full := key(name) + "." + suffix; len(full) <= maxNameLen {
			list = append(list, candidate{fqdn: full + "."})
		}
	}
	if strings.Count(name, ".") >= c.ndots {
		return append([]candidate{asIs}, list...)
	}
	return append(list, asIs)
}
