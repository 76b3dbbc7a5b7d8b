//go:build unix

package docs_test

import (
	"strings"
	"testing"
)

// The commands of API.md are sent to a daemon as they stand.
func TestAPICommands(t *testing.T) {
	t.Parallel()
	u := newTutorial(t, buildPrograms(t))
	u.begin(t, "build/l4fwd --upstream 127.0.0.1:1 --listen 127.0.0.1:8443")
	admin, _ := strings.CutPrefix(u.env[1], "L4FWD_ADMIN_ADDRESS=")
	var answers []string
	for _, block := range blocksOf(t, "docs/API.md", "console") {
		for line := range strings.Lines(block) {
			out, _ := u.run(strings.Replace(strings.TrimPrefix(line, "$ "), "localhost:9901", admin, 1))
			answers = append(answers, out)
		}
	}
	want := []string{`"conns":[]`, `"error":"connection4711:`} // no connection stalls, and none has that id
	if len(answers) != len(want) {
		t.Fatalf("%d commands", len(answers))
	}
	for i, text := range want {
		if !strings.Contains(strings.Join(strings.Fields(answers[i]), ""), text) {
			t.Errorf("want %s in %s", text, answers[i])
		}
	}
}
