package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/proxy/preface"
)

// Parsers of single values. Their errors are *Fault without a place.

// parseChoice returns a reader of one of the texts given.
func parseChoice[T ~string](all []T) func(string) (T, error) {
	return func(text string) (T, error) {
		if slices.Contains(all, T(text)) {
			return T(text), nil
		}
		texts := textsOf(all)
		hint := ""
		if near := Nearest(text, texts); near != "" {
			hint = fmt.Sprintf(", did you mean %s?", near)
		}
		return "", fault("%q is not a choice%s", "use one of "+listChoices(texts), text, hint)
	}
}

// textsOf are the choices as texts.
func textsOf[T ~string](all []T) []string {
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = string(c)
	}
	return texts
}

// listChoices lists choices with commas; the empty text is written as "".
func listChoices(all []string) string {
	have := make([]string, len(all))
	for i, a := range all {
		if have[i] = a; a == "" {
			have[i] = `""`
		}
	}
	return strings.Join(have, ", ")
}

// numberIn reads a whole number from low to high.
func numberIn(text string, low, high int) (int, error) {
	allowed := fmt.Sprintf("write a number from %d to %d", low, high)
	n, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, fault("%q is not a whole number", allowed, text)
	case n < low || n > high:
		return 0, fault("%d is out of range", allowed, n)
	}
	return n, nil
}

// parseBool reads true or false.
func parseBool(text string) (bool, error) {
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, fault("%q is neither true nor false", "write true or false", text)
	}
	return b, nil
}

// parseAny takes every text: names of upstreams are compared with those there are when all are known.
func parseAny(text string) (string, error) { return text, nil }

// maxName is the length of a name in bytes. Names that are made from an address may be as long as a host name.
const maxName = 253

// parseName reads a name for logs and metrics.
func parseName(s string) (string, error) {
	const allowed = "use letters, digits and . _ - : * [ ] %, at most 253 of them"
	switch {
	case s == "":
		return "", fault("the name is empty", allowed)
	case len(s) > maxName:
		return "", fault("the name is %d characters long", allowed, len(s))
	}
	for _, r := range s {
		if !strings.ContainsRune("._-:*[]%", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "", fault("the name %q has a character %q", allowed, s, r)
		}
	}
	return s, nil
}

// parsePool reads what selects Elastic IPs. The empty text selects none.
func parsePool(s string) (eip.Selector, error) {
	if s == "" {
		return eip.Selector{}, nil
	}
	pool, err := eip.ParseSelector(s)
	if err != nil {
		what, allowed, said := strings.Cut(err.Error(), "; ")
		if !said {
			allowed = "write tag:KEY=VALUE, tag-key:KEY, or eipalloc-… ids with commas between"
		}
		return eip.Selector{}, fault("%s", allowed, what)
	}
	return pool, nil
}

// parseCIDR reads a range of clients' addresses, or one address.
func parseCIDR(s string) (netip.Prefix, error) {
	p, err := preface.ParseSource(s)
	if err != nil {
		return netip.Prefix{}, fault("%s", "write a CIDR or an address", err)
	}
	return p, nil
}

// formatCIDR writes a range of one address as that address.
func formatCIDR(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// parseVPCE reads the id of a VPC endpoint.
func parseVPCE(s string) (string, error) {
	if err := preface.CheckEndpoint(s); err != nil {
		return "", fault("%s", "write vpce- and 17 hexadecimal digits", err)
	}
	return s, nil
}

// parsePattern reads a host name, or *. and one.
func parsePattern(s string) (string, error) {
	if what := preface.CheckPattern(s); what != "" {
		return "", fault("%q %s", "write a host name, or *. and one", s, what)
	}
	return s, nil
}

// parseSource reads a local address to connect from.
func parseSource(text string) (netip.Addr, error) {
	const allowed = "write an IP address of this machine, without a port"
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return netip.Addr{}, fault("%q is no IP address", allowed, text)
	case addr.IsUnspecified() || addr.IsMulticast():
		return netip.Addr{}, fault("%q: %s is no address to connect from", allowed, text, addr)
	}
	return addr, nil
}

// maxPath bounds check.path, in bytes.
const maxPath = 2048

// parsePath reads the target of an HTTP request: a path, and perhaps a query.
func parsePath(text string) (string, error) {
	const allowed = "write a path like /openai/v1/models, in ASCII and without spaces"
	switch {
	case !strings.HasPrefix(text, "/"):
		return "", fault("%q does not begin with a slash", allowed, text)
	case len(text) > maxPath:
		return "", fault("the path is %d characters long", "write at most 2048", len(text))
	case strings.Contains(text, "#"):
		return "", fault("%q has a fragment (#), which no server is sent", allowed, text)
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return "", fault("%q has a character %q", allowed, text, text[i])
		}
	}
	return text, nil
}

// split cuts a list as flags and variables write it: at commas, without the space around.
func split(text string) []string {
	var all []string
	for _, s := range strings.Split(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}
