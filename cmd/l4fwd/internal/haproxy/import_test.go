package haproxy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/haproxy"
)

// options are those of the verb, with an environment of three variables.
func options(file, text string) haproxy.Options {
	return haproxy.Options{
		File: file, Text: []byte(text), Read: os.ReadFile,
		Lookup: func(name string) (string, bool) {
			v, ok := map[string]string{"SERVER": "10.0.0.1", "EMPTY": "", "LIST": "10.0.0.0/8 192.0.2.1"}[name]
			return v, ok
		},
		Server: func(address string) string {
			if _, err := config.ParseHostPort(address); err != nil {
				return err.Error()
			}
			return ""
		},
	}
}

// imported is the result for a text, whose configuration must be valid.
func imported(t testing.TB, text string) (yaml, remarks string, matters bool) {
	t.Helper()
	r, err := haproxy.Import(options("x.cfg", text))
	require.NoError(t, err)
	for _, m := range r.Remarks {
		remarks += m.String() + "\n"
	}
	if r.YAML != nil {
		faults := config.CheckText("result", r.YAML)
		require.False(t, faults.Bad(), "%v\n%s", faults, r.YAML)
	}
	return string(r.YAML), remarks, r.Matters()
}

// Each haproxy.cfg of testdata becomes the configuration and the remarks beside it. L4FWD_GOLDEN=write writes them.
func TestGoldenFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.cfg")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 25)
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			r, err := haproxy.Import(options(f, string(text)))
			require.NoError(t, err)
			faults := config.CheckText("result", r.YAML)
			require.False(t, faults.Bad(), "%v", faults)
			var said strings.Builder
			for _, m := range r.Remarks {
				said.WriteString(m.String() + "\n")
			}
			if r.Matters() {
				said.WriteString("exit 1\n")
			}
			golden(t, strings.TrimSuffix(f, ".cfg")+".yaml", string(r.YAML))
			golden(t, strings.TrimSuffix(f, ".cfg")+".stderr", said.String())
		})
	}
}

// golden compares a text with a file, or writes the file.
func golden(t *testing.T, path, have string) {
	t.Helper()
	if os.Getenv("L4FWD_GOLDEN") == "write" {
		require.NoError(t, os.WriteFile(path, []byte(have), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), have)
}

// app is a whole file around lines of a listen section.
func app(lines ...string) string {
	return "defaults\n timeout connect 1s\n timeout client 1m\n timeout server 1m\nlisten app\n" + strings.Join(lines, "\n") + "\n"
}

// Quotes, escapes and variables are HAProxy's: variables are known inside double quotes only, ${X[*]} becomes several words, a
// backslash before another character stays, # begins a comment anywhere.
func TestWordsAreReadAsHAProxyReadsThem(t *testing.T) {
	for in, want := range map[string]string{
		`server "s1" "${SERVER}:443"`:              "10.0.0.1:443",
		`server s1 '10.0.0.2:443'#x`:               "10.0.0.2:443",
		`server s1 10.0.0."2":443 # x`:             "10.0.0.2:443",
		`server s1 \x31\x30.0.0.3:443`:             "10.0.0.3:443",
		`server s1 "${NONE-10.0.0.4}:443"`:         "10.0.0.4:443",
		`server s1 "10.0.0.5${EMPTY-x}:443"`:       "10.0.0.5:443",
		`server s1 "$SERVER:443"` + "\r":           "10.0.0.1:443",
		"server\ts1\t10.0.0.7:443\v":               "10.0.0.7:443",
		`server s1 [2001:db8::1]:443`:              "'[2001:db8::1]:443'",
		`server s1 ipv6@2001:db8::2:443`:           "'[2001:db8::2]:443'",
		`server s1 up.example:443 init-addr none`:  "up.example:443",
		`server-template s 5 many.example:8443`:    "many.example:8443",
		`dispatch 10.0.0.8:99`:                     "10.0.0.8:99",
		`server "s${.LINE}" "10.0.0.9:${EMPTY}70"`: "10.0.0.9:70",
	} {
		yaml, said, _ := imported(t, app("bind :1", in))
		require.Contains(t, yaml, "address: "+want+"\n", "%s\n%s", in, said)
	}
	yaml, _, matters := imported(t, app("bind :1", `tcp-request connection reject unless { src "${LIST[*]}" }`, "server s 10.0.0.1:2"))
	require.Contains(t, yaml, "allow_sources: [10.0.0.0/8, 192.0.2.1]")
	require.False(t, matters)
}

// What cannot be read is one error that names file and line.
func TestUnreadableFilesAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"\x00":                                     "x.cfg:1: a NUL byte",
		"global\n maxconn 1\x00":                   "x.cfg:2: a NUL byte",
		"maxconn 1":                                "x.cfg:1: maxconn stands before any section",
		"global\n log \"x":                         "x.cfg:2: a quote is not closed",
		"global\n log \"$\"":                       "x.cfg:2: a $ in double quotes begins no name",
		"global\n log \"${A":                       "x.cfg:2: the brace of ${A is not closed",
		"global\n log \\xZZ":                       "x.cfg:2: \\xZZ is not hexadecimal",
		".if 1\nglobal":                            "x.cfg:1: .if has no .endif",
		".endif":                                   "x.cfg:1: .endif without .if",
		".else":                                    "x.cfg:1: .else without .if",
		".if 1\n.else\n.else\n.endif":              "x.cfg:3: .else without .if",
		".if nonsense(1)\n.endif":                  "x.cfg:1: .if nonsense(1): unknown predicate",
		".if (1\n.endif":                           "x.cfg:1: .if (1: a parenthesis is not closed",
		".if 1 1\n.endif":                          "is left over",
		".alert \"stop\"":                          "HAProxy would refuse the file here: stop",
		".frob":                                    "unknown directive .frob",
		".if 0\n.elif nonsense(1)\n.endif":         "x.cfg:2: .elif nonsense(1): unknown predicate",
		app("tcp-request connection"):              "x.cfg:6: tcp-request connection needs an action",
		app("tcp-request content if TRUE"):         "x.cfg:6: tcp-request content if TRUE needs an action",
		app("use-server a b if TRUE"):              "x.cfg:6: use-server a b if TRUE: name one server, then if or unless",
		app("use-server a if TRUE"):                `x.cfg:6: use-server a if TRUE: there is no server "a"`,
		"backend":                                  "x.cfg:1: backend needs a name",
		"backend a\nbackend a":                     "x.cfg:2: backend a: line 1 has the same name",
		"listen a from b":                          `there are no defaults "b" before this line`,
		app("acl x"):                               "acl needs a name and an expression",
		app("use_backend b if x"):                  `there is no ACL "x"`,
		app("use_backend b"):                       `there is no backend "b"`,
		app("default_backend b"):                   `there is no backend "b"`,
		app("tcp-request connection accept if {"):  "has no expression or no }",
		app("tcp-request connection accept if or"): "a part of the condition is empty",
		app("use_backend a b c"):                   "name one backend",
		strings.Repeat(".if 1\n", 100):             "more than 64 nested .if",
		".if " + strings.Repeat("(", 100) + "\n":   "too many parentheses",
	} {
		_, err := haproxy.Import(options("x.cfg", text))
		require.ErrorContains(t, err, want, "%q", text)
		require.NotContains(t, err.Error(), "\n")
	}
}

// Conditions are judged as HAProxy does: && before ||, negation, defined, streq.
func TestConditionalBlocks(t *testing.T) {
	for condition, want := range map[string]bool{
		"1": true, "0": false, "": false, "!0": true, "!!1": true, "1 && 0 || 1": true, "1 && (0 || 0)": false, "defined(SERVER)": true,
		"defined(NONE)":             false,
		`streq("$SERVER",10.0.0.1)`: true, `strneq("$SERVER",10.0.0.1)`: false, "version_atleast(2.4-dev19)": true,
		"version_before(2.4)": false, "feature(OPENSSL) && !defined(NONE)": true,
	} {
		yaml, _, _ := imported(t, app(".if "+condition, "bind :1", ".else", "bind :2", ".endif", "server s 10.0.0.1:3"))
		require.Equal(t, want, strings.Contains(yaml, "0.0.0.0:1\n"), condition)
	}
}

// A variable that is not set here may be set where HAProxy runs: this is never silent.
func TestUnsetVariablesAreReported(t *testing.T) {
	_, said, matters := imported(t, app("bind :1", `tcp-request connection reject if { src 10.0.0.1 "${NONE}" }`, "server s 10.0.0.1:3"))
	require.True(t, matters)
	require.Contains(t, said, "x.cfg:7: changed: ${NONE}: it is not set here and became empty")
}

// cpuTime is what this process has used of the processors, which a busy machine does not make longer.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano())
}

// Files of a few megabytes of anything end in seconds, with a result or an error.
func TestHostileFilesEndInSeconds(t *testing.T) {
	name := func(i int) string { return strings.Repeat("a", i%40+1) + string(rune('a'+i%26)) + ".example" }
	var names, rules strings.Builder
	for i := range 60_000 {
		names.WriteString(" " + name(i) + strings.Repeat("x", i%3))
	}
	for i := range 1_200 {
		rules.WriteString("use_backend app if { req.ssl_sni -i -m end ." + name(i) + " } !{ src 10." + strings.Repeat("1", i%2+1) + ".0.0/16 }\n")
	}
	var domains, binds strings.Builder
	for i := range 5_000 {
		fmt.Fprintf(&domains, " .d%d.example", i)
		fmt.Fprintf(&binds, "bind :::%d\nbind :%d\n", i+1, i+1)
	}
	for what, text := range map[string]string{
		"domains":     sniRules("use_backend b if { req.ssl_sni -m end" + domains.String() + " }"),
		"families":    app(binds.String(), "server s 10.0.0.1:3"),
		"one word":    "global\n " + strings.Repeat("x", 1<<20),
		"words":       "global\n " + strings.Repeat("x ", 1<<20),
		"lines":       "global\n" + strings.Repeat("x y\n", 300_000),
		"quotes":      "global\n" + strings.Repeat(`"" `, 1<<20),
		"crlf":        strings.ReplaceAll(app("bind :1", "server s 10.0.0.1:3"), "\n", "\r\n"),
		"names":       app("bind :1", "use_backend app if { req.ssl_sni"+names.String()+" }", "server s 10.0.0.1:3"),
		"rules":       app("bind :1", rules.String(), "server s 10.0.0.1:3"),
		"negations":   app("bind :1", "tcp-request connection reject if "+strings.Repeat("!", 1<<20)+"TRUE", "server s 10.0.0.1:3"),
		"a condition": ".if " + strings.Repeat("1||", 1<<20) + "1\n.endif",
		"binary":      strings.Repeat("\x80\xff\x1b[2J\n", 1<<20),
	} {
		t.Run(what, func(t *testing.T) {
			began := cpuTime(t)
			r, err := haproxy.Import(options("x.cfg", text))
			require.True(t, err != nil || r != nil)
			require.Less(t, cpuTime(t)-began, time.Minute, "under the race detector; it takes 2 s without")
		})
	}
}

// A file that an ACL names and that cannot be read makes its rule one that is reported, not one that lets everybody in.
func TestAnUnreadableListIsReported(t *testing.T) {
	o := options("x.cfg", app("bind :1", "tcp-request connection accept if { src -f /none }", "tcp-request connection reject",
		"server s 10.0.0.1:3"))
	o.Read = func(string) ([]byte, error) { return nil, errors.New("no such file") }
	r, err := haproxy.Import(o)
	require.NoError(t, err)
	require.Nil(t, r.YAML, "nobody is let in")
	require.True(t, r.Matters())
}

// Whatever the text is, the importer ends without a panic, and what it prints is valid.
func FuzzImport(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.cfg")
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		o := options("testdata/x.cfg", text)
		o.Read = func(string) ([]byte, error) { return []byte("a.example b\n10.0.0.0/8\n"), nil }
		r, err := haproxy.Import(o)
		if err != nil {
			return
		}
		for _, m := range r.Remarks {
			require.NotContains(t, m.String(), "\n")
		}
		if r.YAML != nil {
			faults := config.CheckText("result", r.YAML)
			require.False(t, faults.Bad(), "%v\n%s", faults, r.YAML)
		}
	})
}
