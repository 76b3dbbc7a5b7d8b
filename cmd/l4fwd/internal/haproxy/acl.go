package haproxy

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// subject is what a test looks at.
type subject int

const (
	always  subject = iota // the result is test.constant
	source                 // the client's address
	sni                    // the host name of the ClientHello
	hello                  // whether there is a ClientHello
	port                   // the port that was connected to
	unknown                // nothing that l4fwd can judge
)

// test is one expression of an ACL: whether any of its patterns matches.
type test struct {
	at       line
	number   int // among the tests of a frontend on the same subject
	subject  subject
	constant bool
	method   string // sni: str, end, dom, beg, sub, reg, dir, len or found
	lower    bool   // sni: put into lower case first
	patterns []pattern
	prefixes []netip.Prefix
	ints     []intRange
	why      string // unknown: why it cannot be judged
	exact    map[string]bool
	folded   map[string]bool // exact names in lower case that match whatever their case is
}

// pattern is one value of a test on a name.
type pattern struct {
	text string // in lower case if fold is set, but for regular expressions
	fold bool   // -i
	re   *regexp.Regexp
}

// intRange is a value or a range of a test on a number, both ends included.
type intRange struct{ low, high int }

// criterion is the first word of an expression, cut into pieces.
type criterion struct {
	fetch      string
	converters []string
}

// parseCriterion cuts req.ssl_sni,lower,field(1,:) at its commas.
func parseCriterion(word string) criterion {
	var parts []string
	depth, begin := 0, 0
	for i := range len(word) {
		switch word[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				parts = append(parts, word[begin:i])
				begin = i + 1
			}
		}
	}
	parts = append(parts, word[begin:])
	return criterion{strings.TrimSuffix(parts[0], "()"), parts[1:]}
}

// newTest reads an expression: a criterion, flags and values. It never fails: what it cannot read it cannot judge.
func (im *importer) newTest(at line, words []string) *test {
	t := &test{at: at}
	c := parseCriterion(words[0])
	flags, values, fault := im.flags(at, words[1:])
	if fault != "" {
		return t.cannot(fault)
	}
	switch c.fetch {
	case "always_true", "wait_end": // wait_end never fails: HAProxy waits until it holds
		return t.is(true)
	case "always_false":
		return t.is(false)
	case "src", "fc_src":
		if flags.method != "" && flags.method != "ip" {
			return t.cannot("l4fwd judges addresses by networks, not by -m " + printable(flags.method))
		}
		return im.sourceTest(t, c, values)
	case "req_ssl_sni", "req.ssl_sni":
		return t.nameTest(c, flags, values)
	case "req_ssl_hello_type", "req.ssl_hello_type":
		return t.numberTest(hello, values)
	case "req_ssl_ver", "req.ssl_ver":
		return im.versionTest(t, words, values)
	case "req_len", "req.len":
		if t.numberTest(always, values); !t.hasInt(1<<20) || flags.method != "" {
			return t.cannot("l4fwd does not count the bytes that are there")
		}
		return t.is(true)
	case "dst_port", "fc_dst_port":
		return t.numberTest(port, values)
	case "ssl_fc", "ssl_fc_sni", "ssl_c_used", "ssl_c_verify":
		return t.cannot("l4fwd does not terminate TLS")
	}
	return t.cannot("l4fwd does not judge " + printable(c.fetch))
}

// builtin are ACLs that HAProxy defines itself: section 7.4 of its manual.
var builtin = map[string][]string{
	"TRUE": {"always_true"}, "FALSE": {"always_false"}, "LOCALHOST": {"src", "127.0.0.0/8", "::1"},
	"WAIT_END": {"wait_end"}, "REQ_CONTENT": {"req.len", "gt", "0"}, "RDP_COOKIE": {"req.rdp_cookie_cnt", "gt", "0"},
	"HTTP": {"req.proto_http"}, "HTTP_1.0": {"req.ver", "1.0"}, "HTTP_1.1": {"req.ver", "1.1"}, "HTTP_2.0": {"req.ver", "2.0"},
	"HTTP_CONTENT": {"req.hdr_val(content-length)", "gt", "0"}, "HTTP_URL_ABS": {"url_reg", "^[^/:]*://"},
	"HTTP_URL_SLASH": {"url_beg", "/"}, "HTTP_URL_STAR": {"url", "*"},
	"METH_CONNECT": {"method", "CONNECT"}, "METH_DELETE": {"method", "DELETE"}, "METH_GET": {"method", "GET", "HEAD"},
	"METH_HEAD": {"method", "HEAD"}, "METH_OPTIONS": {"method", "OPTIONS"}, "METH_POST": {"method", "POST"},
	"METH_PUT": {"method", "PUT"}, "METH_TRACE": {"method", "TRACE"},
}

// cannot makes the test one that cannot be judged, and says why.
func (t *test) cannot(why string) *test {
	t.subject, t.why = unknown, why
	return t
}

// is makes the test one that is always true or always false.
func (t *test) is(value bool) *test {
	t.subject, t.constant = always, value
	return t
}

// aclFlags are what stands before the values.
type aclFlags struct{ method string }

// flags reads -i, -m, -f and others, and returns the values with those of files.
func (im *importer) flags(at line, words []string) (f aclFlags, values []pattern, fault string) {
	fold, ended, columns := false, false, false
	for i := 0; i < len(words); i++ {
		w := words[i]
		next := ""
		if i+1 < len(words) {
			next = words[i+1]
		}
		switch {
		case ended || !strings.HasPrefix(w, "-") || len(w) < 2:
			values = append(values, pattern{text: w, fold: fold})
			ended = true
		case w == "--":
			ended = true
		case w == "-i":
			fold = true
		case w == "-n":
		case w == "-M":
			columns = true
		case w == "-m":
			f.method, i = next, i+1
		case w == "-u":
			i++
		case w == "-f":
			lines, err := im.list(at, next)
			if err != nil {
				return f, nil, err.Error()
			}
			for _, l := range lines {
				if columns {
					l, _ = firstColumn(l)
				}
				values = append(values, pattern{text: l, fold: fold})
			}
			i++
		default:
			values = append(values, pattern{text: w, fold: fold})
			ended = true
		}
	}
	return f, values, ""
}

// sourceTest reads addresses and networks.
func (im *importer) sourceTest(t *test, c criterion, values []pattern) *test {
	if len(c.converters) > 0 {
		return t.cannot("l4fwd judges addresses as they are, without " + printable(c.converters[0]))
	}
	t.subject = source
	for _, v := range values {
		p, err := parseNetwork(v.text)
		if err != nil {
			return t.cannot(err.Error())
		}
		t.prefixes = append(t.prefixes, p)
	}
	return t
}

// numberTest reads numbers, ranges and operators.
func (t *test) numberTest(s subject, values []pattern) *test {
	t.subject = s
	operator := "eq"
	for _, v := range values {
		if slices.Contains([]string{"eq", "ge", "gt", "le", "lt"}, v.text) {
			operator = v.text
			continue
		}
		r, ok := parseRange(v.text, operator)
		if !ok {
			return t.cannot(printable(v.text) + " is no number")
		}
		t.ints = append(t.ints, r)
	}
	return t
}

// versionTest reads versions of TLS as the ClientHello writes them: 3.1 is TLS 1.0, 3.3 is TLS 1.2 and later. l4fwd does not tell
// them apart, so that a test that does is judged for 3.3.
func (im *importer) versionTest(t *test, words []string, values []pattern) *test {
	for i, v := range values {
		values[i].text = tlsVersion.ReplaceAllStringFunc(v.text, func(s string) string {
			major, minor, _ := strings.Cut(s, ".")
			return major + strings.Repeat("0", 5-min(len(minor), 5)) + minor
		})
	}
	if t.numberTest(hello, values); t.subject == unknown {
		return t
	}
	now := t.hasInt(300003)
	if t.hasInt(300001) == now && t.hasInt(300002) == now {
		im.note(t.at, brief(words), "l4fwd takes every version of TLS")
	} else {
		im.changed(t.at, brief(words), "l4fwd takes every version of TLS: it is judged for TLS 1.2 and later")
	}
	if t.ints = nil; now {
		t.ints = []intRange{{1, 1}} // the type of a ClientHello
	}
	return t
}

var tlsVersion = regexp.MustCompile(`[0-9]+(?:\.[0-9]+)?`)

// parseRange reads a number or a range as the operator has it.
func parseRange(text, operator string) (intRange, bool) {
	const most = 1 << 30
	low, high, ranged := strings.Cut(text, ":")
	if !ranged {
		high = low
	}
	r := intRange{0, most}
	var err error
	if low != "" {
		if r.low, err = strconv.Atoi(low); err != nil {
			return r, false
		}
	}
	if high != "" {
		if r.high, err = strconv.Atoi(high); err != nil {
			return r, false
		}
	}
	switch operator {
	case "ge":
		r.high = most
	case "gt":
		r = intRange{r.low + 1, most}
	case "le":
		r.low = 0
	case "lt":
		r = intRange{0, r.high - 1}
	}
	return r, true
}

// hasInt reports whether the number is one that the test is true for.
func (t *test) hasInt(n int) bool {
	return slices.ContainsFunc(t.ints, func(r intRange) bool { return r.low <= n && n <= r.high })
}
