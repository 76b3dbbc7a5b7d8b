// Package plan is what host and guest of the kernel tests have in common: the commands that the guest runs, and the lines on its
// console that say how they went.
package plan

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// File is where the initramfs holds the plan, as JSON.
const File = "/plan.json"

// Step is a command that the guest runs.
type Step struct {
	Name  string        `json:"name"`
	Argv  []string      `json:"argv"`
	Env   []string      `json:"env,omitempty"`  // beside the guest's own
	Dir   string        `json:"dir,omitempty"`  // "/" if empty
	Show  string        `json:"show,omitempty"` // a file that is printed after the command has ended
	Limit time.Duration `json:"limit"`          // of the guest's clock; the step is killed then
}

// Event is a line of the guest on its console. Kernel messages come between them and are no events.
type Event struct {
	Step int // index in the plan; Guest: the guest itself
	Kind Kind
	Text string // Output
	Code int    // End: the exit status, -1 if a signal ended it
	Took time.Duration
}

// Guest is the Step of what the guest says of itself.
const Guest = -1

// Kind is what a line reports.
type Kind byte

// The kinds of lines.
const (
	Begin  Kind = '<'
	Output Kind = '|'
	End    Kind = '>'
)

const mark = "\x1e" // no program prints it by chance

// String is the line on the console, without its end.
func (e Event) String() string {
	text := e.Text
	if e.Kind == End {
		text = fmt.Sprintf("%d %d", e.Code, e.Took.Milliseconds())
	}
	return fmt.Sprintf("%s%d%c%s", mark, e.Step, e.Kind, text)
}

// Parse reads a line of the console. ok is false for what is not the guest's, such as kernel messages.
func Parse(line string) (e Event, ok bool) {
	_, line, ok = strings.Cut(strings.TrimRight(line, "\r\n"), mark)
	i := strings.IndexAny(line, "<|>")
	if !ok || i < 0 {
		return Event{}, false
	}
	step, err := strconv.Atoi(line[:i])
	if err != nil {
		return Event{}, false
	}
	e = Event{Step: step, Kind: Kind(line[i]), Text: line[i+1:]}
	if e.Kind != End {
		return e, true
	}
	var ms int64
	if n, _ := fmt.Sscanf(e.Text, "%d %d", &e.Code, &ms); n != 2 {
		return Event{}, false
	}
	e.Text, e.Took = "", time.Duration(ms)*time.Millisecond
	return e, true
}
