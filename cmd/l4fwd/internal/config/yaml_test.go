package config

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// What templates and editors leave in a file is no fault.
func TestFilesThatAreFine(t *testing.T) {
	const body = "upstream: a.example:443\n"
	for name, text := range map[string]string{
		"directive":              "%YAML 1.2\n---\n" + body,
		"directive 1.1":          "%YAML 1.1\n---\n" + body,
		"directive with comment": "%YAML 1.2  # of a template\r\n---\r\n" + body,
		"document":               "---\n" + body,
		"end":                    body + "...\n",
		"separator at the end":   body + "---\n",
		"both at the end":        body + "---\n...\n",
		"several separators":     body + "---\n---\n---\n",
		"null at the end":        body + "---\nnull\n",
		"comment at the end":     body + "---\n# the end\n",
		"byte order mark":        "\ufeff" + body,
		"carriage returns":       strings.ReplaceAll(body+"loops: 2\n", "\n", "\r\n"),
		"no new line":            strings.TrimSpace(body),
		"UTF-8":                  "# Präzision\n" + body,
		"UTF-16":                 utf16le(body),
	} {
		l, said := try(t, "--config", write(t, text))
		require.Empty(t, said, name)
		require.Equal(t, hostPort("a.example:443"), l.Config.Upstreams[0].Address, name)
	}
	for name, text := range map[string]string{"empty": "", "comment": "# nothing\n", "separator": "---\n", "null": "null\n", "separators": "---\n---\n"} {
		_, said := try(t, "--upstream", "a.example:443", "--config", write(t, text))
		require.Empty(t, said, name)
	}
}

// utf16le is ASCII as Windows writes it, with its mark.
func utf16le(text string) string {
	var b strings.Builder
	b.WriteString("\xff\xfe")
	for _, c := range []byte(text) {
		b.WriteByte(c)
		b.WriteByte(0)
	}
	return b.String()
}

func TestFilesThatAreNot(t *testing.T) {
	for text, want := range map[string]string{
		"# pr\xe9cision\nupstream: a:1\n":              ":1: is not UTF-8; save the file as UTF-8",
		"upstream: a:1\n\n# \xff\n":                    ":3: is not UTF-8; save the file as UTF-8",
		"upstream: a:1\r\nloops: 1 # \xc3":             ":2: is not UTF-8; save the file as UTF-8",
		"upstream: a:1\n---\nloops: 2\n":               ":2: is not valid YAML: a second document begins; write one",
		"upstream: a:1\n---\n---\nloops: 2\n":          ":3: is not valid YAML: a second document begins; write one",
		"upstream: a:1\n---\n[\n":                      "is not valid YAML: ",
		"%YAML 2.0\n---\nupstream: a:1\n":              "is not valid YAML: ",
		"%FOO\n---\nupstream: a:1\n":                   "is not valid YAML: ",
		"upstream: a:1\nlog:\n\tlevel: info\n":         "(indent with spaces, not with tabs)",
		"upstream: a:1\nlisten: [:8443, :8444]\n":      `(an address that begins with a colon needs quotes: ":8443")`,
		"listeners: [{name: in, address: :8443}]\n":    `(an address that begins with a colon needs quotes: ":8443")`,
		"upstream: 'a:1\n":                             "is not valid YAML: ",
		"upstream: a:1\nlog: {level: info\n":           ":2: is not valid YAML: did not find expected ',' or '}'",
		"upstream: *nothing\n":                         "is not valid YAML: unknown anchor 'nothing' referenced",
		"upstream: !!binary x\n":                       ":1: upstream: ",
		"upstream: a:1\nloops: !!float 3\nwarm: 1.5\n": `:3: warm: "1.5" is not a whole number`,
	} {
		path := write(t, text)
		l, said := try(t, "--config", path)
		require.True(t, l.Faults.Bad(), text)
		require.Contains(t, said, path)
		require.Contains(t, said, want, text)
	}
}

// slowExpansion writes out what aliases stand for, and counts.
func slowExpansion(n *yaml.Node, aliased bool) int {
	count := 0
	if aliased {
		count = 1
	}
	if n.Kind == yaml.AliasNode {
		return count + slowExpansion(n.Alias, true)
	}
	for _, below := range n.Content {
		count += slowExpansion(below, aliased)
	}
	return count
}

func TestExpansionCountsWhatAliasesStandFor(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var text strings.Builder
		for i := range 1 + r.IntN(5) {
			fmt.Fprintf(&text, "k%d: &a%d [x, y", i, i)
			for range r.IntN(4) {
				if i > 0 {
					fmt.Fprintf(&text, ", *a%d", r.IntN(i))
				}
			}
			text.WriteString("]\n")
		}
		root, err := parseYAML([]byte(text.String()))
		require.NoError(t, err)
		require.Equal(t, slowExpansion(root, false), expansion(root, false, 0), text.String())
	}
	root, err := parseYAML([]byte("a: &a [*a, *a]\n"))
	require.NoError(t, err)
	require.Equal(t, maxExpanded+1, expansion(root, false, 0), "it stops")
}

func TestAliasesUpToTheBoundAreTaken(t *testing.T) {
	text := func(times int) string {
		return "upstreams: &u [{address: \"a.example:443\"}]\nlisteners:\n- address: ':443'\n  allow_sources: &s [" + strings.Repeat("10.0.0.1, ", 99) + "10.0.0.1]\n" +
			strings.Repeat("- {address: ':0', allow_sources: *s}\n", times)
	}
	l, _ := try(t, "--config", write(t, text(190)))
	require.False(t, l.Broken)
	require.Len(t, l.Config.Listeners, 191)
	require.Len(t, l.Config.Listeners[190].AllowSources, 100)
	l, said := try(t, "--config", write(t, text(200)))
	require.True(t, l.Broken)
	require.Contains(t, said, "the file expands to more than 20000 values; use fewer aliases (*name)")
}

func TestTextsAreQuotedAsYAMLNeedsIt(t *testing.T) {
	for text, want := range map[string]string{"a:1": "a:1", ":8443": ":8443", "off": `"off"`, "*x": "'*x'", "": `""`, "1": `"1"`, "a: b": "'a: b'"} {
		require.Equal(t, want, quoted(text))
		var back string
		require.NoError(t, yaml.Unmarshal([]byte(quoted(text)), &back))
		require.Equal(t, text, back)
	}
}
