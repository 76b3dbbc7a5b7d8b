package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

// A word here has another that the field uses: said or reported for told, connection for pair, evict for hang up.
var notTheFields = regexp.MustCompile(`(?i)\b(told|tells?|telling|obeys?|lobby|omens?|thirst|thirsty|survey|walks?|doubts?|despair|doors?|visits?|betrays?|uncork|chilled|staled)\b`)

// The documents use the field's words, so that an operator reads a sentence once.
func TestDocumentsUseTheFieldsWords(t *testing.T) {
	for _, doc := range documents(t) {
		for i, line := range strings.Split(read(t, doc), "\n") {
			if m := notTheFields.FindString(line); m != "" {
				t.Errorf("%s:%d: %q: name what happens in the field's words", doc, i+1, m)
			}
		}
	}
}

// Everybody adds lines to the changelog at the same time, and a merge that went wrong has once kept the old ones, too.
func TestChangelogHasEachChangeOnce(t *testing.T) {
	seen := make(map[string]int)
	for i, line := range strings.Split(read(t, "CHANGELOG.md"), "\n") {
		if !strings.HasPrefix(line, "- ") {
			continue
		}
		start := line[:min(len(line), 45)]
		if before, ok := seen[start]; ok {
			t.Errorf("CHANGELOG.md:%d begins as line %d: is it the same change?", i+1, before)
		}
		seen[start] = i + 1
	}
}
