package haproxy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/haproxy"
)

// Of .if, .elif and .else the first that holds is in force (section 2.4 of HAProxy's manual). In a branch that is not, nothing is
// judged: neither a condition nor a quote nor .alert. Messages of the file are no directives.
func TestOneBranchIsInForce(t *testing.T) {
	for text, port := range map[string]string{
		".if 0|bind :1|.elif 1|bind :2|.elif 1|bind :3|.else|bind :4|.endif":                "2",
		".if 1|bind :1|.elif 1|bind :2|.else|bind :4|.endif":                                "1",
		".if 0|bind :1|.elif 0|bind :2|.else|bind :4|.endif":                                "4",
		".if 1|bind :1|.elif nonsense(1)|bind :2|.endif":                                    "1",
		".if 0|.if 1|bind :1|.else|bind :2|.endif|.else|bind :3|.endif":                     "3",
		".if 0|.if 0|.elif 1|bind :1|.endif|.if nonsense(1)|.endif|.endif|bind :2":          "2",
		".if 1|.if 0|bind :1|.endif|bind :2|.endif":                                         "2",
		".if 0|server \"|.alert \"no\"|.endif|bind :2":                                      "2",
		".notice \"x\"|.warning \"y\"|.diag \"z\"|bind :2":                                  "2",
		"bind :1|.if 1|.endif|.if 0|bind :2|.endif":                                         "1",
		".if 0|bind :1|.elif|bind :2|.else|bind :3|.endif":                                  "3",
		".if 0|bind :1|.elif !defined(SERVER)|bind :2|.elif defined(SERVER)|bind :3|.endif": "3",
	} {
		yaml, said, _ := imported(t, app(append(strings.Split(text, "|"), oneServer)...))
		require.Equal(t, 1, strings.Count(yaml, "0.0.0.0:"), "%s\n%s", text, yaml)
		require.Contains(t, yaml, "address: 0.0.0.0:"+port+"\n", "%s\n%s", text, said)
	}
}

// The predicates of conditions; of versions it is HAProxy 3.2 that is asked.
func TestPredicates(t *testing.T) {
	for condition, want := range map[string]bool{
		"2": true, "-1": true, "00": false, "strstr(abc,bc)": true, "strstr(abc,cb)": false, "streq(a)": false, "strneq(a)": true,
		"enabled(POLL)": true, "version_atleast(3.2)": true, "version_atleast(3.2.1)": false, "version_atleast(3.3)": false,
		"version_atleast(2.9.9)": true, "version_before(3.2)": false, "version_before(3.2.1)": true, "version_before(4)": true,
		"version_atleast(3.2-dev3)": true, "version_atleast(3.3-dev3)": false, "openssl_version_atleast(1.1.1)": true, "openssl_version_before(1.1.1)": false,
		"awslc_api_atleast(1)": true, "awslc_api_before(1)": false, "1&&1": true, "1 && !(1 && 1)": false, "0||(0||1)": true, "!!0": false,
		"! 0": true, "0 || 0": false, " ( 1 ) ": true, "1\t&&\t0": false,
	} {
		yaml, said, _ := imported(t, app(".if "+condition, "bind :1", ".else", "bind :2", ".endif", oneServer))
		require.Equal(t, want, strings.Contains(yaml, "0.0.0.0:1\n"), condition)
		switch name, _, _ := strings.Cut(condition, "("); {
		case name == "enabled":
			require.Contains(t, said, "x.cfg:6: warning: changed: .if enabled(POLL): enabled(POLL) is taken for true")
		case strings.Contains(name, "version"):
			require.Contains(t, said, "x.cfg:6: warning: changed: .if "+condition+": it is judged for HAProxy 3.2")
		default:
		}
	}
	for condition, fault := range map[string]string{
		"x": `"x" is neither a number nor a predicate`, "1 &&": `"" is neither a number`, "streq(a,b": "a parenthesis is not closed",
		"(1 0)": "a parenthesis is not closed", "1 ) ": `")" is left over`,
	} {
		_, err := haproxy.Import(options("x.cfg", app(".if "+condition, ".endif")))
		require.ErrorContains(t, err, "x.cfg:6: .if "+strings.TrimSpace(condition), condition)
		require.ErrorContains(t, err, fault, condition)
	}
}

// Depth bounds: 64 blocks and as many parentheses are read, one more is refused.
func TestNestingIsBounded(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(".if 1\n", n) + strings.Repeat(".endif\n", n) }
	for text, fine := range map[string]bool{
		nested(64): true, nested(65): false,
		".if " + strings.Repeat("(", 64) + "1" + strings.Repeat(")", 64) + "\n.endif": true,
		".if " + strings.Repeat("(", 65) + "1" + strings.Repeat(")", 65) + "\n.endif": false,
	} {
		_, err := haproxy.Import(options("x.cfg", text))
		require.Equal(t, fine, err == nil, "%.80s: %v", text, err)
	}
}

// Sections that have no counterpart are named, with what stands in their place.
func TestForeignSections(t *testing.T) {
	for section, why := range map[string]string{
		"peers p": "no stick tables to share", "userlist u": "they are for HTTP", "mailers m": "made from /metrics", "cache c": "no HTTP cache",
		"program p": "by its own unit", "ring r": "to standard error", "http-errors e": "no HTTP answers", "traces": "log.level: debug",
		"log-profile l": "one format of log lines", "crt-store": "passes through untouched", "acme a": "passes through untouched",
		"healthcheck h": "tcp, tls and https",
	} {
		importCase{text: listening(oneServer) + section + "\n bind :9\n", hasNot: []string{":9"},
			says: []string{"x.cfg:9: warning: dropped: " + section + ": ", why}, exact: true}.run(t)
	}
	for _, section := range []string{"fcgi-app f", "namespace_list", "log-forward l"} {
		importCase{text: listening(oneServer) + section + "\n", says: []string{"dropped: " + section + ": l4fwd has nothing of this kind"}}.run(t)
	}
}

// A section is refused for a name that is missing, or that HAProxy does not take. Backends and listens share their names.
func TestNamesOfSections(t *testing.T) {
	for text, want := range map[string]string{
		"frontend":                             "x.cfg:1: frontend needs a name",
		"listen from d":                        "x.cfg:1: listen needs a name",
		"resolvers":                            "x.cfg:1: resolvers needs a name",
		"cache":                                "x.cfg:1: cache needs a name",
		"backend a/b":                          "x.cfg:1: backend a/b: a name has letters, digits and - _ . : only, at most 200 of them",
		"frontend \"a b\"":                     "frontend a b: a name has letters",
		"listen \"\"":                          "x.cfg:1: listen needs a name",
		"listen a\nbackend a":                  "x.cfg:2: backend a: line 1 has the same name",
		"frontend " + strings.Repeat("x", 201): "at most 200 of them",
	} {
		_, err := haproxy.Import(options("x.cfg", text))
		require.ErrorContains(t, err, want)
	}
	text := strings.Replace(listening(oneServer), "listen app", "listen "+strings.Repeat("x", 190)+"A-z.0_9:", 1)
	importCase{text: text, has: []string{"xxxA-z.0_9:"}, exact: true}.run(t)
	importCase{text: strings.Replace(listening(oneServer), "bind :1", "bind 10.0.0.7:5,10.0.0.8:5,10.0.0.9:5", 1),
		has: []string{"name: app:5\n    address: 10.0.0.7", "name: app:5-2\n    address: 10.0.0.8", "name: app:5-3\n    address: 10.0.0.9"}, exact: true}.run(t)
	importCase{text: strings.Replace(listening(oneServer), "listen app\n bind :1", "listen app 10.0.0.7:5", 1),
		has: []string{"address: 10.0.0.7:5\n"}, exact: true}.run(t)
}

// A remark is one line of bounded length without a character that a terminal would act on, and there is one of each.
func TestRemarksAreShortAndPrintable(t *testing.T) {
	long := strings.Repeat("x", 150)
	_, said, _ := imported(t, listening(`frob \x1b[2J `+long+` more`, oneServer))
	require.Contains(t, said, "x.cfg:8: dropped: frob ?[2J "+long+" …: l4fwd does not know this directive\n")
	_, said, _ = imported(t, listening("frob "+strings.Repeat("x", 155), oneServer))
	require.Contains(t, said, "frob "+strings.Repeat("x", 155)+": l4fwd")
	_, said, _ = imported(t, listening("frob "+strings.Repeat("x", 156), oneServer))
	require.Contains(t, said, "frob …: l4fwd")
	_, said, _ = imported(t, "defaults\n frobnicate\n"+listening(oneServer)[len("defaults\n"):]+"listen b\n bind :2\n server s 10.0.0.2:3\n")
	require.Equal(t, 1, strings.Count(said, "x.cfg:2: dropped: frobnicate"), said)
}

// A hostile file has 20,000 remarks, and one that there are more.
func TestRemarksAreBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString("global\n")
	for i := range 20_010 {
		fmt.Fprintf(&text, " lua-x%d\n", i)
	}
	r, err := haproxy.Import(options("x.cfg", text.String()))
	require.NoError(t, err)
	require.Len(t, r.Remarks, 20_001)
	require.Equal(t, "x.cfg:20002: dropped: this line and others: there are too many to list: divide the file", r.Remarks[20_000].String())
	require.True(t, r.Matters(), "it is not known what the others say")
	require.Nil(t, r.YAML)
}

// A file that an ACL names has a value a line; empty lines and those that begin with # say nothing. It is looked for beside the
// haproxy.cfg too, and has a bound.
func TestFilesOfValues(t *testing.T) {
	o := options("/etc/haproxy/haproxy.cfg", guarded("tcp-request connection reject unless { src -f nets.lst }"))
	files := map[string]string{"/etc/haproxy/nets.lst": "# ours\n\n 10.0.0.0/8 \r\n\t192.0.2.0/24"}
	o.Read = func(path string) ([]byte, error) {
		if text, ok := files[path]; ok {
			return []byte(text), nil
		}
		return nil, fmt.Errorf("open %s: no such file", path)
	}
	r, err := haproxy.Import(o)
	require.NoError(t, err)
	require.Contains(t, string(r.YAML), "allow_sources: [10.0.0.0/8, 192.0.2.0/24]")
	require.False(t, r.Matters())
	o.Text = []byte(strings.ReplaceAll(string(o.Text), "nets.lst", "file@nets.lst"))
	r, err = haproxy.Import(o)
	require.NoError(t, err)
	require.Contains(t, string(r.YAML), "allow_sources")
	files["/etc/haproxy/nets.lst"] = strings.Repeat("10.0.0.1\n", 200_001)
	r, err = haproxy.Import(o)
	require.NoError(t, err)
	require.True(t, r.Matters())
	require.Contains(t, r.Remarks[0].String(), "nets.lst has more than 200000 values")
}
