package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/l4fwd/l4fwd/bench/kernels/plan"
)

func ran(code int, output string) *stepRun {
	return &stepRun{step: step{read: readGoTest, Step: plan.Step{Name: "step"}}, begun: true, ended: true, code: code, output: strings.Split(output, "\n")}
}

func TestPartsCountInsteadOfTheirWhole(t *testing.T) {
	rs := ran(1, `=== RUN   TestA
=== RUN   TestA/one
=== RUN   TestA/two
    a_test.go:7: 
        	Error Trace:	a_test.go:7
        	Error:      	Received unexpected error:
        	            	write: i/o timeout
        	Messages:   	the answer
--- FAIL: TestA (0.00s)
    --- PASS: TestA/one (0.00s)
    --- FAIL: TestA/two (0.00s)
=== RUN   TestB
    b_test.go:5: needs root
--- SKIP: TestB (0.00s)
FAIL`).results("")
	assert.Equal(t, []result{{"TestA/one", passed, ""}, {"TestA/two", failed, "Received unexpected error:; write: i/o timeout; the answer"}, {"TestB", skipped, "needs root"}}, rs)
}

// A panic ends the process: the tests that ran have no verdict in the output, and did not pass.
func TestAPanicFailsWhatWasRunning(t *testing.T) {
	rs := ran(2, "=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\npanic: boom").results("")
	assert.Equal(t, []result{{"TestA", passed, ""}, {"TestB", failed, "did not end: panic: boom"}}, rs)
}

func TestAStepThatFailsWithoutATestIsAFailure(t *testing.T) {
	for name, c := range map[string]struct {
		s     *stepRun
		fault string
		why   string
	}{
		"after its tests": {ran(2, "=== RUN   TestA\n--- PASS: TestA (0.00s)\nfatal error: leak"), "", "exit 2: fatal error: leak"},
		"without tests":   {ran(0, "PASS"), "", "no test was run"},
		"not begun":       {&stepRun{step: step{Step: plan.Step{Name: "step"}}}, "switched off", "not run: switched off"},
		"not ended":       {&stepRun{step: step{read: readGoTest, Step: plan.Step{Name: "step"}}, begun: true}, "switched off", "cut short: switched off"},
	} {
		t.Run(name, func(t *testing.T) {
			rs := c.s.results(c.fault)
			assert.Equal(t, result{"step", failed, c.why}, rs[len(rs)-1])
		})
	}
}

// A test that is run several times counts once, and passes only if it did each time.
func TestOneFailureOfManyRunsIsAFailure(t *testing.T) {
	rs := ran(1, "=== RUN   TestA\n--- FAIL: TestA (0.00s)\n=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n--- PASS: TestB (0.00s)\n=== RUN   TestA\n--- PASS: TestA (0.00s)").results("")
	assert.Equal(t, []result{{"TestA", failed, ""}, {"TestB", passed, ""}}, rs)
}

func TestLoadFailsByItsErrorsNotByItsFigures(t *testing.T) {
	s := ran(0, `printed before
{
 "missing": [{"what": "l4fwd-uring", "why": "forbidden"}],
 "samples": [{"scenario": "bulk", "peer": "l4fwd-epoll"}, {"scenario": "rate", "peer": "l4fwd-epoll", "errors": ["reset"]}, {"scenario": "rate", "peer": "direct"}]
}`)
	s.read = readLoad
	assert.Equal(t, []result{{"bulk by l4fwd-epoll", passed, ""}, {"rate by l4fwd-epoll", failed, "reset"}, {"l4fwd-uring", failed, "forbidden"}}, s.results(""))
}

func TestTableNamesFailuresAndSkips(t *testing.T) {
	var tab table
	g := &guestRun{kernel: "6.1 arm64", warnings: []string{"kernel: odd"}, steps: []stepRun{
		*ran(0, "=== RUN   TestA\n--- PASS: TestA (0.00s)"), *ran(1, "=== RUN   TestB\n    b_test.go:5: why\n--- FAIL: TestB (0.00s)"),
	}}
	g.steps[0].group, g.steps[1].group = "relay", "relay"
	tab.add(machines[0], g)
	tab.skip(machines[1], assert.AnError)
	text := tab.String()
	assert.Equal(t, 1, tab.failed())
	assert.Regexp(t, `6\.1 arm64 *\|relay *\|1 *\|1 *\|0 `, text)
	assert.Contains(t, text, "FAIL 6.1 arm64: TestB: why")
	assert.Contains(t, text, "kernels 6.1/amd64: SKIPPED ")
	assert.Contains(t, text, "6.1/arm64 said: kernel: odd")
}

// A short run beside other work was cut short, which failed a build although no test had.
func TestAShortRunForgivesWhatHadNoTime(t *testing.T) {
	steps := func() []stepRun {
		late := *ran(0, "=== RUN   TestC")
		late.ended = false
		never := stepRun{step: step{read: readGoTest, Step: plan.Step{Name: "never"}}}
		return []stepRun{*ran(0, "=== RUN   TestA\n--- PASS: TestA (0.00s)"), *ran(1, "=== RUN   TestB\n--- FAIL: TestB (0.00s)"), late, never}
	}
	g := &guestRun{steps: steps(), fault: "switched off", timeUp: true}
	g.forgiveTime()
	var tab table
	tab.add(machines[0], g)
	assert.Equal(t, 1, tab.failed(), "a test that failed did so in time")
	assert.Contains(t, tab.String(), ": never: switched off")

	g = &guestRun{steps: steps(), fault: "kernel panic"}
	g.forgiveTime()
	tab = table{}
	tab.add(machines[0], g)
	assert.Equal(t, 4, tab.failed(), "a guest that stops by itself has failed: what ran, and what did not")
}
