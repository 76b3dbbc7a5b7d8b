package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/l4fwd/l4fwd/bench/report"
)

// verdict is how a test ended.
type verdict string

const (
	passed  verdict = "PASS"
	failed  verdict = "FAIL"
	skipped verdict = "SKIP"
)

// result is one test on one machine.
type result struct {
	test    string
	verdict verdict
	why     string // unless it passed
}

// reader makes results of a step's output.
type reader func(s *stepRun) []result

// results are those of a step that was run, or the failure to run it.
func (s *stepRun) results(fault string) []result {
	switch {
	case !s.begun:
		return []result{{s.Name, failed, "not run: " + fault}}
	case !s.ended:
		return append(s.read(s), result{s.Name, failed, "cut short: " + fault})
	}
	rs := s.read(s)
	if s.code != 0 && !slices.ContainsFunc(rs, func(r result) bool { return r.verdict == failed }) {
		rs = append(rs, result{s.Name, failed, fmt.Sprintf("exit %d: %s", s.code, s.complaint())})
	}
	if len(rs) == 0 {
		rs = append(rs, result{s.Name, failed, "no test was run"})
	}
	return rs
}

// complaint is what most likely says why a step failed.
func (s *stepRun) complaint() string {
	for _, line := range s.output {
		if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "guest: ") {
			return line
		}
	}
	if len(s.output) == 0 {
		return "no output"
	}
	return s.output[len(s.output)-1]
}

func readExit(s *stepRun) []result {
	if s.code == 0 {
		return []result{{test: s.Name, verdict: passed}}
	}
	return nil
}

var (
	testBegins = regexp.MustCompile(`^=== RUN +(\S+)$`)
	testEnds   = regexp.MustCompile(`^ *--- (PASS|FAIL|SKIP): (\S+) \(`)
	testLogs   = regexp.MustCompile(`^ {4,}\S+\.go:\d+: *(.*)$`)
	complaints = regexp.MustCompile(`^\s+(?:Error:|Messages:)\s+(.*)$`)
)

// readGoTest reads the output of a test binary. Tests that have parts count by their parts, and those that a panic kept from
// ending failed by it.
func readGoTest(s *stepRun) (rs []result) {
	running, said := "", map[string]string{}
	var begun []string
	ended, more := map[string]verdict{}, false
	for _, line := range s.output {
		if more { // "Received unexpected error:", and then the error
			said[running], more = said[running]+strings.TrimSpace(line)+"; ", false
		} else if m := testBegins.FindStringSubmatch(line); m != nil {
			if running = m[1]; !slices.Contains(begun, running) {
				begun = append(begun, running)
			}
		} else if m := testEnds.FindStringSubmatch(line); m != nil {
			ended[m[2]] = worst(ended[m[2]], verdict(m[1]))
		} else if m := complaints.FindStringSubmatch(line); m != nil {
			text := strings.TrimSpace(m[1])
			said[running], more = said[running]+text+"; ", strings.HasSuffix(text, "error:")
		} else if m := testLogs.FindStringSubmatch(line); m != nil && m[1] != "" {
			said[running] += m[1] + "; "
		}
	}
	for _, name := range begun {
		v, ok := ended[name]
		if !ok {
			v, said[name] = failed, "did not end: "+s.complaint()
		}
		if hasParts(begun, name) && (v != failed || partFailed(ended, begun, name)) {
			continue
		}
		r := result{test: name, verdict: v}
		if v != passed {
			r.why = strings.TrimSuffix(said[name], "; ")
		}
		rs = append(rs, r)
	}
	return rs
}

// worst is the verdict on a test that is run several times.
func worst(a, b verdict) verdict {
	if a == failed || b == "" {
		return a
	}
	return b
}

func hasParts(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, name+"/") })
}

// partFailed reports whether a part of the test failed, which then stands for the test.
func partFailed(ended map[string]verdict, begun []string, name string) bool {
	return slices.ContainsFunc(begun, func(n string) bool {
		v, ok := ended[n]
		return strings.HasPrefix(n, name+"/") && (!ok || v == failed)
	})
}

// readLoad reads the report of a load test: a sample without errors has passed, whatever its figures, which are the emulator's.
func readLoad(s *stepRun) (rs []result) {
	i := slices.IndexFunc(s.output, func(line string) bool { return line == "{" })
	var r report.Report
	if i < 0 || json.Unmarshal([]byte(strings.Join(s.output[i:], "\n")), &r) != nil {
		return nil
	}
	for _, sample := range r.Samples {
		if !strings.HasPrefix(sample.Peer, "l4fwd-") {
			continue
		}
		one := result{test: sample.Scenario + " by " + sample.Peer, verdict: passed}
		if len(sample.Errors) > 0 {
			one.verdict, one.why = failed, strings.Join(sample.Errors, "; ")
		}
		rs = append(rs, one)
	}
	for _, m := range r.Missing {
		rs = append(rs, result{m.What, failed, m.Why})
	}
	return rs
}
