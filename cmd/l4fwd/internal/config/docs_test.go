package config

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The reference has every key, and no cell of a table that nobody would read.
func TestTheReferenceHasEveryKeyAndShortCells(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, WriteDoc(&out))
	for _, k := range leaves(new(Config).keys()) {
		require.Contains(t, out.String(), "| `"+k.path+"` |")
		for _, name := range k.variables() {
			if !strings.Contains(k.path, "[]") {
				require.Contains(t, out.String(), "`"+name+"`")
			}
		}
	}
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "|") {
			for _, cell := range strings.Split(line, "|") {
				require.LessOrEqual(t, len([]rune(strings.TrimSpace(cell))), 200, line)
			}
		}
	}
	require.Contains(t, out.String(), "`loops`, `engine`, `steering`, `reload`, `dns`, `eip`, `lifecycle`, `health`, `admin`, `log.format`.\n")
}

// The annotated file has every key with its explanation, and passes check without a word.
func TestTheAnnotatedFilePassesCheck(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, WriteAnnotated(&out))
	l, said := try(t, "--config", write(t, out.String()))
	require.Empty(t, said)
	require.Equal(t, exampleConfig(), l.Config)

	var doc yaml.Node
	require.NoError(t, yaml.Unmarshal(out.Bytes(), &doc))
	comments := map[string]string{}
	keysIn(doc.Content[0], "", comments)
	for _, k := range leaves(new(Config).keys()) {
		if k.short {
			continue
		}
		comment, there := comments[k.path]
		require.True(t, there, k.path)
		first, _, _ := strings.Cut(strings.ReplaceAll(k.doc, "`", ""), ".")
		require.Contains(t, strings.Join(strings.Fields(strings.ReplaceAll(comment, "#", " ")), " "), first, k.path)
	}
	require.NotRegexp(t, regexp.MustCompile(`(?m)^.{141,}$`), out.String(), "no line is too long to read")
}

// keysIn collects the keys below n with the comments above them.
func keysIn(n *yaml.Node, path string, into map[string]string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i < len(n.Content); i += 2 {
			at := join(path, n.Content[i].Value)
			into[at] += n.Content[i].HeadComment
			keysIn(n.Content[i+1], at, into)
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			keysIn(item, path+"[]", into)
		}
	}
}

func TestTextsAreWrapped(t *testing.T) {
	require.Equal(t, "one two\nthree\na-very-long-word\nx", wrap("one two three a-very-long-word x", 8))
	require.Empty(t, wrap("", 8))
}

// The documents in the tree are those that the keys make: `make docs` writes them.
func TestGeneratedDocumentsAreCurrent(t *testing.T) {
	for path, write := range map[string]func(io.Writer) error{"CONFIG.md": WriteDoc, "all-keys.yaml": WriteAnnotated} {
		var out bytes.Buffer
		require.NoError(t, write(&out))
		have, err := os.ReadFile("../../../../docs/" + path)
		require.NoError(t, err)
		require.Equal(t, out.String(), string(have), "%s: run make docs", path)
	}
}
