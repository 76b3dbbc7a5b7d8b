package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// parseNetwork reads an address or a network as HAProxy writes it: 10.0.0.0/8, 10.0.0.0/255.0.0.0, 10.1/16, fd00::/8.
func parseNetwork(text string) (netip.Prefix, error) {
	host, mask, masked := strings.Cut(text, "/")
	if !strings.Contains(host, ":") {
		host = fullIPv4(host)
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%s is no address: l4fwd does not look up names here", printable(text))
	}
	bits := addr.BitLen()
	if masked {
		if bits, err = strconv.Atoi(mask); err != nil {
			bits = maskBits(mask)
		}
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%s is no network", printable(text))
	}
	return p, nil
}

// splitFamily cuts an address at the prefix that names its family, such as ipv6@. tcp is false if it is no family of TCP over IP.
// HAProxy's manual has them in section 11.
func splitFamily(text string) (family, rest string, tcp bool) {
	family, rest, found := strings.Cut(text, "@")
	if !found {
		return "", text, true
	}
	family = strings.TrimPrefix(family, "stream+")
	return family, rest, slices.Contains([]string{"ip", "ipv4", "ipv6", "tcp", "tcp4", "tcp6"}, family)
}

// splitPort cuts an address at the colon before its port: the last one, unless a bracket follows it. host is without brackets.
func splitPort(text string) (host, port string, found bool) {
	host = text
	if i := strings.LastIndexAny(text, ":]"); i >= 0 && text[i] == ':' {
		host, port, found = text[:i], text[i+1:], true
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), port, found
}

// fullIPv4 adds the zeros that HAProxy's short notation leaves out: 10.12 is 10.0.0.12, as inet_aton reads it.
func fullIPv4(s string) string {
	parts := strings.Split(s, ".")
	if n := len(parts); n > 1 && n < 4 {
		zeros := slices.Repeat([]string{"0"}, 4-n)
		parts = slices.Concat(parts[:n-1], zeros, parts[n-1:])
	}
	return strings.Join(parts, ".")
}

// maskBits is the length of a netmask like 255.255.0.0; -1 if it is none.
func maskBits(mask string) int {
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() {
		return -1
	}
	n, ended := 0, false
	for _, b := range m.As4() {
		for bit := 7; bit >= 0; bit-- {
			one := b&(1<<bit) != 0
			if one && ended {
				return -1
			}
			if ended = !one; one {
				n++
			}
		}
	}
	return n
}
