//go:build unix

package docs_test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// program is a built l4fwd, whose help says which verbs and flags there are.
type program struct {
	t     *testing.T
	path  string
	helps map[string]string // by verb
}

func newProgram(t *testing.T) *program {
	t.Helper()
	return &program{t, filepath.Join(buildPrograms(t), "l4fwd"), map[string]string{}}
}

// help is the help of a verb, such as "eip list".
func (p *program) help(verb string) string {
	if _, ok := p.helps[verb]; !ok {
		cmd := exec.Command(p.path, append(strings.Fields(verb), "--help")...)
		cmd.Env = environment()
		out, _ := cmd.CombinedOutput() // what is no verb is seen in the text
		p.helps[verb] = string(out)
	}
	return p.helps[verb]
}

var (
	subVerb  = regexp.MustCompile(`(?m)^  ([a-z-]+) +\S`)
	longFlag = regexp.MustCompile(`^--([a-z-]+)`)
	endOfOne = regexp.MustCompile(`[|><;&#…)"]| -- `)
)

// verbs are those that a help lists.
func verbs(help string) (all []string) {
	_, list, _ := strings.Cut(help, "Available Commands:")
	list, _, _ = strings.Cut(list, "Flags:")
	for _, m := range subVerb.FindAllStringSubmatch(list, -1) {
		all = append(all, m[1])
	}
	return all
}

// judge returns what is wrong with a command line of l4fwd, without its first word; "" if nothing is.
func (p *program) judge(line string) string {
	if at := endOfOne.FindStringIndex(line); at != nil {
		line = line[:at[0]]
	}
	words := strings.Fields(line)
	verb := ""
	for len(words) > 0 && slices.Contains(verbs(p.help(verb)), words[0]) {
		verb, words = strings.TrimSpace(verb+" "+words[0]), words[1:]
	}
	if verb == "" && len(words) > 0 && !strings.HasPrefix(words[0], "-") && !strings.ContainsAny(words[0], ".=/*<[") && words[0] == strings.ToLower(words[0]) {
		return "no verb " + words[0]
	}
	for _, w := range words {
		if m := longFlag.FindStringSubmatch(w); m != nil && m[1] != "help" && !regexp.MustCompile(`--`+m[1]+`[ \n]`).MatchString(p.help(verb)) {
			return "verb " + verb + " has no flag --" + m[1]
		}
	}
	return ""
}

var (
	inFence = regexp.MustCompile("(?ms)^ *```[a-z]*\n(.*?)^ *```")
	inCode  = regexp.MustCompile("`((?:sudo )?l4fwd [^`]+)`")
	started = regexp.MustCompile(`^(?:\$ )?(?:[A-Z0-9_]+=\S+ )*(?:sudo )?(?:\./|build/|/usr/bin/)?(?:l4fwd|go run \./cmd/l4fwd) +(.*)$`)
)

// commandsOf returns the command lines of l4fwd in a document, in its blocks of code and in its sentences.
func commandsOf(text string) (all []string) {
	var lines []string
	for _, m := range inFence.FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Split(strings.ReplaceAll(m[1], "\\\n", " "), "\n")...)
	}
	for _, m := range inCode.FindAllStringSubmatch(inFence.ReplaceAllString(text, ""), -1) {
		lines = append(lines, m[1])
	}
	for _, line := range lines {
		for part := range strings.SplitSeq(line, "&& ") {
			if m := started.FindStringSubmatch(strings.TrimSpace(part)); m != nil {
				all = append(all, m[1])
			}
		}
	}
	return all
}

// What the documents have a reader type is a verb of l4fwd with flags of that verb, also where only a cloud can run it.
func TestCommandsAreOnesOfTheProgram(t *testing.T) {
	t.Parallel()
	p, judged := newProgram(t), 0
	for _, doc := range documents(t) {
		for _, line := range commandsOf(read(t, doc)) {
			if strings.HasPrefix(line, "docs ") {
				continue // hidden: make docs runs it
			}
			judged++
			if fault := p.judge(line); fault != "" {
				t.Errorf("%s: l4fwd %s: %s", doc, line, fault)
			}
		}
	}
	if judged < 100 {
		t.Errorf("only %d commands", judged)
	}
	for line, want := range map[string]string{"frobnicate": "no verb frobnicate", "status --sort x": "verb status has no flag --sort", "eip list --format json": "", "--upstream a:1 --nonsense": "verb  has no flag --nonsense"} {
		if got := p.judge(line); got != want {
			t.Errorf("l4fwd %s: %q, want %q", line, got, want)
		}
	}
}

var caught = regexp.MustCompile(`signal\.Notify\([^)]*`)

// Each signal that the daemon catches is in the help of serve, in the manual page and in the runbook. SIGUSR1 was missing from two.
func TestEverySignalIsDescribed(t *testing.T) {
	t.Parallel()
	places := map[string]string{"l4fwd serve --help": newProgram(t).help("serve"), "docs/l4fwd.1": read(t, "docs/l4fwd.1"), "docs/RUNBOOK.md": read(t, "docs/RUNBOOK.md")}
	signals := 0
	for _, call := range caught.FindAllString(read(t, "cmd/l4fwd/drain.go")+read(t, "cmd/l4fwd/internal/hangup/hangup.go"), -1) {
		for _, name := range regexp.MustCompile(`SIG[A-Z0-9]+`).FindAllString(call, -1) {
			signals++
			for place, text := range places {
				if !regexp.MustCompile(name + `\b`).MatchString(text) {
					t.Errorf("%s does not describe %s", place, name)
				}
			}
		}
	}
	if signals != 5 {
		t.Errorf("%d signals are caught, want 5", signals)
	}
}

// run are blocks that a test runs, by a text in them.
var run = []string{"make demo", "localhost:9901/api/v1/", "go run ./bench/standin/cmd/standin", "haproxy.service.d/cutover.conf", "l4fwd drain\nsudo rm /run/systemd"}

// needs marks what cannot be run everywhere: in the paragraph before a block, in the block, or near the top of the document.
var needs = regexp.MustCompile(`(?i)\bneeds? ([^n]|n[^o])|\((AWS|Azure|AWS and Azure)\)`)

var shell = regexp.MustCompile("(?ms)^ *```(?:sh|console)\n(.*?)^ *```")

// Each command of a document is run by a test, or the text says what it needs that is not here.
func TestCommandsAreRunOrMarked(t *testing.T) {
	for _, doc := range documents(t) {
		text := read(t, doc)
		head, _, _ := strings.Cut(text, "\n## ")
		if doc == tutorialDoc || strings.Contains(head, "Every command on this page") {
			continue
		}
		for _, at := range shell.FindAllStringSubmatchIndex(text, -1) {
			block, before := text[at[2]:at[3]], text[:at[0]]
			if i := strings.LastIndex(strings.TrimSpace(before), "\n\n"); i >= 0 {
				before = before[i:]
			}
			isRun := slices.ContainsFunc(run, func(s string) bool { return strings.Contains(block, s) })
			if !isRun && !needs.MatchString(before+block) {
				t.Errorf("%s:%d: no test runs this, and the sentence before does not say what it needs:\n%s", doc, strings.Count(text[:at[0]], "\n")+1, block)
			}
		}
	}
}
