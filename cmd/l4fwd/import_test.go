package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// importable is a haproxy.cfg around lines of its listen section.
func importable(lines ...string) string {
	return "defaults\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n retries 0\n" +
		"listen app\n bind 127.0.0.1:7\n server s 10.0.0.1:7\n " + strings.Join(lines, "\n ") + "\n"
}

// The verb ends with 0 if all that matters was carried, 1 if not, and 2 for what is no haproxy.cfg. Nothing is printed on stdout
// but a configuration.
func TestImportExitStatuses(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]struct {
		code int
		says string
	}{
		importable():                    {exitOK, ""},
		importable("option tcplog"):     {exitOK, "x.cfg:9: warning: dropped: option tcplog"},
		importable("filter trace"):      {exitFailure, "x.cfg:9: dropped: filter trace: l4fwd has no filters"},
		importable("option frobnicate"): {exitFailure, "x.cfg:9: dropped: option frobnicate: l4fwd does not know this directive"},
		importable("tcp-request connection reject if { src -f " + dir + " }"): {exitFailure,
			"l4fwd cannot read " + dir},
		importable("tcp-request connection reject if { src -f " + dir + "/none }"): {exitFailure,
			"no such file or directory"},
		importable("tcp-request connection accept if { src -f none.lst }", "tcp-request connection reject"): {exitFailure,
			"no configuration is printed"},
		"":                                     {exitFailure, "nothing in it accepts clients in mode tcp"},
		"listen a\n bind :1\n mode http\n":     {exitFailure, "it is in mode http"},
		importable() + "\x00":                  {exitUsage, "x.cfg:10: a NUL byte"},
		importable("log \"127.0.0.1"):          {exitUsage, "x.cfg:9: a quote is not closed"},
		importable("use_backend none if TRUE"): {exitUsage, `x.cfg:9: there is no backend "none"`},
	} {
		file := filepath.Join(dir, "x.cfg")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		o := l4fwd(t, nil, "import", "haproxy", file)
		require.Equal(t, want.code, o.code, "%s\n%s", text, o.stderr)
		require.Contains(t, o.stderr, want.says, text)
		require.Equal(t, want.code == exitUsage || strings.Contains(o.stderr, "nothing in it accepts"), o.stdout == "", "%s\n%s", text, o.stdout)
	}
}

// A file of 100 MB is refused before it is read whole, and so are directories and files that are not there.
func TestImportRefusesWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large.cfg")
	require.NoError(t, os.WriteFile(large, []byte("global\n"), 0o600))
	require.NoError(t, os.Truncate(large, 100<<20))
	for path, says := range map[string]string{large: "is larger than 16 MiB", dir: "is no regular file", filepath.Join(dir,
		"none"): "no such file"} {
		o := l4fwd(t, nil, "import", "haproxy", path)
		require.Equal(t, exitUsage, o.code)
		require.Contains(t, o.stderr, says)
		require.Equal(t, 1, strings.Count(o.stderr, "\n"), "one line: %s", o.stderr)
		require.Empty(t, o.stdout)
	}
}

const migrating = "../../docs/MIGRATING-FROM-HAPROXY.md"

// block is the code block of a language in the document.
func block(t *testing.T, document, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(document, "```"+language+"\n")
	require.True(t, found, language)
	text, _, _ := strings.Cut(rest, "```")
	return text
}

// The worked example of the document is what the importer prints, and a file that runs beside HAProxy.
func TestMigrationExample(t *testing.T) {
	text, err := os.ReadFile(migrating)
	require.NoError(t, err)
	document := string(text)
	example := block(t, document, "haproxy")
	beside, err := os.ReadFile("internal/haproxy/testdata/migrating.cfg")
	require.NoError(t, err)
	require.Equal(t, string(beside), example)

	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	require.NoError(t, os.WriteFile(file, []byte(example), 0o600))
	o := l4fwd(t, nil, "import", "haproxy", file)
	require.Equal(t, exitFailure, o.code)
	require.Equal(t, block(t, document, "yaml"), o.stdout)
	require.Equal(t, block(t, document, "text"), strings.ReplaceAll(o.stderr, file, "haproxy.cfg"))
	for _, m := range regexp.MustCompile(`(?m)^- Line (\d+): `).FindAllStringSubmatch(document, -1) {
		require.Contains(t, o.stderr, "\n"+file+":"+m[1]+": ", "the lines that the document explains")
	}
}

// The tables of the document name keys that there are.
func TestMigrationNamesKeysThatExist(t *testing.T) {
	text, err := os.ReadFile(migrating)
	require.NoError(t, err)
	keys, err := os.ReadFile("../../docs/CONFIG.md")
	require.NoError(t, err)
	found := 0
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z_]+(?:\\[\\])?(?:\\.[a-z_\\[\\]]+)*)`").FindAllStringSubmatch(cells[2], -1) {
			found++
			require.Contains(t, string(keys), "\n| `"+m[1]+"` |", line)
		}
	}
	require.Greater(t, found, 40)
}
