package bundle

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// removed stands where a credential stood.
const removed = "[removed]"

// names are words in the name of a value that is a credential.
const names = `(?:api[-_]?key|subscription[-_]?key|secret|token|passw(?:or)?d|passphrase|authorization|access[-_]?key|private[-_]?key|signature|credential)`

// value is what may follow a name: quoted, also within a quoted text, or a word.
const value = `(?:"(?:[^"\\\n]|\\.)*"|\\"(?:[^"\\\n]|\\[^"])*\\"|'[^'\n]*'|[^\s,;&}"'\\\[]+)`

// pattern is what a credential looks like. Its groups are kept: the first stands before the credential, a second after it.
type pattern struct {
	marks []string // in lower case; a text without any has none of it, which is quick to see
	re    func() *regexp.Regexp
}

// lazy is an expression that is compiled when it is first used. The daemon never does, and its start need not wait for this.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

var credentials = []pattern{
	// A private key; of one that is cut, all that is left.
	{[]string{"private key-----"}, lazy(`()(?s:-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z))`)},
	// A name that says so, and its value: in YAML, JSON, a variable or a header.
	{
		[]string{"key", "secret", "token", "passw", "passphrase", "authorization", "signature", "credential"},
		lazy(`(?i)(` + names + `[\w-]*\\?["']?[ \t]*[:=][ \t]*(?:(?:bearer|basic|sharedkey)[ \t]+)?)` + value),
	},
	{[]string{"bearer", "basic"}, lazy(`(?i)(\b(?:bearer|basic)[ \t]+)[\w.~+/=-]{12,}`)},
	// A JSON web token, an access key of AWS, a name and password in an URL.
	{[]string{"eyj"}, lazy(`()\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?`)},
	{[]string{"akia", "asia"}, lazy(`()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`)},
	{[]string{"://"}, lazy(`(://)[^/\s@"'?#]+(@)`)},
}

// replace replaces each match by what by makes of its groups. lower is the text in lower case, perhaps from before other replacements.
func (p *pattern) replace(text, lower []byte, by func(groups [][]byte) []byte) []byte {
	if !slices.ContainsFunc(p.marks, func(m string) bool { return bytes.Contains(lower, []byte(m)) }) {
		return text
	}
	re := p.re()
	return re.ReplaceAllFunc(text, func(match []byte) []byte { return by(re.FindSubmatch(match)) })
}

// query is a parameter of an URL or a path. Any but those in harmless may be a credential.
var (
	query    = pattern{[]string{"?", "&"}, lazy(`([?&]([\w.~-]+)=)([^&\s"'#\\]+)`)}
	harmless = []string{"api-version", "debug", "seconds"}
)

// client is the address of a client in a line of the log, a connection or an event.
var client = pattern{
	[]string{`"client"`, `"from"`, `"peer"`, `"source_addr"`},
	lazy(`("(?:client|from|peer|source_addr)":\s*")([^"]*)(")`),
}

// secretName is the name of an environment variable whose value is removed wherever it stands.
var secretName = lazy(`(?i)` + names)

// shortestSecret is the length below which a value of the environment is too common to be removed everywhere.
const shortestSecret = 8

// redactor removes credentials from texts and masks the addresses of clients.
type redactor struct {
	full bool

	mu     sync.Mutex
	values [][]byte // known credentials
	found  int
}

// newRedactor returns a redactor that knows no credentials yet. full leaves the addresses of clients as they are.
func newRedactor(full bool) *redactor { return &redactor{full: full} }

// count is how many credentials were removed.
func (r *redactor) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.found
}

// learn takes environment variables: the values of those that are named like a credential are removed from all texts.
func (r *redactor) learn(env []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range env {
		name, value, _ := strings.Cut(v, "=")
		if secretName().MatchString(name) && len(value) >= shortestSecret {
			r.values = append(r.values, []byte(value))
		}
	}
	slices.SortFunc(r.values, func(a, b []byte) int { return len(b) - len(a) }) // one may be a part of another
}

// clean returns a text without credentials, without control characters that a terminal would obey, and with the addresses of
// clients masked.
func (r *redactor) clean(text []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	text = bytes.Map(printable, text)
	for _, value := range r.values {
		r.found += bytes.Count(text, value)
		text = bytes.ReplaceAll(text, value, []byte(removed))
	}
	lower := bytes.ToLower(text)
	for _, p := range credentials {
		text = p.replace(text, lower, func(parts [][]byte) []byte {
			r.found++
			return slices.Concat(parts[1], []byte(removed), append(parts, nil)[2])
		})
	}
	text = query.replace(text, lower, func(parts [][]byte) []byte {
		if slices.Contains(harmless, string(parts[2])) || bytes.HasPrefix(parts[3], []byte(removed)) {
			return parts[0]
		}
		r.found++
		return slices.Concat(parts[1], []byte(removed))
	})
	if !r.full {
		text = client.replace(text, lower, func(parts [][]byte) []byte {
			return slices.Concat(parts[1], []byte(mask(string(parts[2]))), parts[3])
		})
	}
	return text
}

// printable replaces control characters but the ends of lines and tabs.
func printable(c rune) rune {
	if unicode.IsControl(c) && c != '\n' && c != '\t' {
		return '\uFFFD'
	}
	return c
}

// mask leaves of an address the network: 24 bits of IPv4, 48 of IPv6. A text that is no address stays.
func mask(text string) string {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		port, err := netip.ParseAddrPort(text)
		if err != nil {
			return text
		}
		addr = port.Addr()
	}
	addr = addr.Unmap().WithZone("")
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(addr, bits).Masked().String()
}
