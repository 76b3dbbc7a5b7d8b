// Package docs_test checks the documents: that they lead somewhere, agree with the tree, and that what they have a reader
// run works.
package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const root = ".."

// read returns the text of a file, by its path from the root.
func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// tracked returns the files that git knows, or would after `git add`, by their paths from the root.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Skip("no git here, or no clone: ", err)
	}
	return strings.Fields(string(out))
}

// documents returns every Markdown file, but for the beginnings of generated ones, whose links count from docs/.
func documents(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(tracked(t), func(f string) bool { return !strings.HasSuffix(f, ".md") || strings.HasPrefix(f, "cmd/") })
}

// A README that grows is not read. It had 232 lines, and its two commands were lost among them.
func TestReadmeStaysAPage(t *testing.T) {
	lines := strings.Split(strings.TrimRight(read(t, "README.md"), "\n"), "\n")
	if len(lines) > 120 {
		t.Errorf("README.md has %d lines, at most 120: move the rest to docs/", len(lines))
	}
	for i, line := range lines {
		if n := utf8.RuneCountInString(line); n > 140 {
			t.Errorf("README.md:%d has %d columns, at most 140", i+1, n)
		}
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fenced  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	notSlug = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors returns what links to the headings of a document end in, as GitHub makes them.
func anchors(text string) []string {
	var all []string
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		all = append(all, strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

// Every link inside the repository leads to a file, and to a heading of it.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, doc := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(fenced.ReplaceAllString(read(t, doc), ""), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			target := doc
			if path != "" {
				target = filepath.Join(filepath.Dir(doc), path)
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s: the link %s leads nowhere", doc, m[1])
			} else if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s: %s has no heading #%s", doc, target, anchor)
			}
		}
	}
}

// Every document of docs/ can be found from the index.
func TestIndexHasEveryDocument(t *testing.T) {
	index := read(t, "docs/README.md")
	for _, doc := range documents(t) {
		rel, ok := strings.CutPrefix(doc, "docs/")
		if ok && rel != "README.md" && !strings.Contains(index, "]("+rel+")") {
			t.Errorf("docs/README.md does not name %s", rel)
		}
	}
}

var goFile = regexp.MustCompile("`([a-z0-9_/*]+\\.go)`")

// The design names files of the code; files get other names.
func TestDesignNamesFilesThatExist(t *testing.T) {
	files := tracked(t)
	for _, doc := range documents(t) {
		if !strings.HasPrefix(doc, "docs/") {
			continue
		}
		for _, m := range goFile.FindAllStringSubmatch(read(t, doc), -1) {
			pattern := m[1]
			if !slices.ContainsFunc(files, func(f string) bool { return matches(pattern, f) }) {
				t.Errorf("%s names %s, and there is no such file", doc, pattern)
			}
		}
	}
}

var identifier = regexp.MustCompile("`([A-Za-z]+\\.)?([A-Za-z]*[a-z][A-Z][A-Za-z]*)`")

// The design names types and functions of the code; these get other names, too.
func TestDesignNamesWhatTheCodeHas(t *testing.T) {
	var code strings.Builder
	for _, f := range tracked(t) {
		if strings.HasSuffix(f, ".go") && !strings.HasPrefix(f, "docs/") {
			if b, err := os.ReadFile(filepath.Join(root, f)); err == nil { // deleted, and not committed yet
				code.Write(b)
			}
		}
	}
	words := make(map[string]bool)
	for _, w := range regexp.MustCompile(`[A-Za-z]+`).FindAllString(code.String(), -1) {
		words[w] = true
	}
	for _, doc := range documents(t) {
		if doc != "docs/DESIGN.md" && !strings.HasPrefix(doc, "docs/design/") {
			continue
		}
		for _, m := range identifier.FindAllStringSubmatch(read(t, doc), -1) {
			if !words[m[2]] {
				t.Errorf("%s names %s, which the code does not have", doc, m[0])
			}
		}
	}
}

// matches reports whether the path of a file ends in pattern, in which stars stand for any text of a name.
func matches(pattern, file string) bool {
	parts := strings.Split(file, "/")
	tail := parts[max(0, len(parts)-1-strings.Count(pattern, "/")):]
	ok, err := filepath.Match(pattern, strings.Join(tail, "/"))
	return err == nil && ok
}

var row = regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|")

// The table of packages in DESIGN.md is the tree's: none is missing, and none is of the past.
func TestDesignNamesEveryPackage(t *testing.T) {
	var inTable []string
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/DESIGN.md"), -1) {
		for _, p := range strings.Split(m[1], ", ") {
			inTable = append(inTable, strings.Trim(p, "`"))
		}
	}
	inTree := []string{"bench"}
	for _, f := range tracked(t) {
		dir := filepath.ToSlash(filepath.Dir(f))
		part, _, _ := strings.Cut(dir, "/")
		product := slices.Contains([]string{"cmd", "proxy", "eip", "health", "internal"}, part)
		if product && strings.HasSuffix(f, ".go") && !slices.Contains(inTree, dir) {
			inTree = append(inTree, dir)
		}
	}
	for _, p := range inTree {
		if !slices.Contains(inTable, p) {
			t.Errorf("docs/DESIGN.md does not name package %s", p)
		}
	}
	for _, p := range inTable {
		if !slices.Contains(inTree, p) {
			t.Errorf("docs/DESIGN.md names package %s, and there is none", p)
		}
	}
}
