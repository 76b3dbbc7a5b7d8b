package report

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/l4fwd/l4fwd/bench/stats"
)

// table is rows of cells; the first row is the head.
type table [][]string

// scenarioTable has a row a peer, and for each metric its median with the spread, and its ratio to the better HAProxy.
func (r *Report) scenarioTable(s Scenario) table {
	head := []string{s.Name}
	for _, m := range s.Metrics {
		head = append(head, strings.TrimSpace(m.Name+" "+m.Unit))
		if !m.Plain {
			head = append(head, "×")
		}
	}
	t := table{head}
	for _, p := range r.present(s) {
		row := []string{p}
		for _, m := range s.Metrics {
			sum := r.Summary(s.Name, p, m.Name)
			row = append(row, cell(sum))
			if !m.Plain {
				base, _ := r.Base(s.Name, m)
				row = append(row, ratio(sum, base))
			}
		}
		t = append(t, row)
	}
	return t
}

// cell is a median and its spread: half the range over the median.
func cell(s stats.Summary) string {
	if s.N == 0 {
		return "–"
	}
	if s.N == 1 || s.Median == 0 {
		return number(s.Median)
	}
	return fmt.Sprintf("%s ±%.0f%%", number(s.Median), 50*s.Spread())
}

func ratio(s stats.Summary, base float64) string {
	x := stats.Ratio(s.Median, base)
	if s.N == 0 || math.IsNaN(x) {
		return "–"
	}
	return fmt.Sprintf("%.2f", x)
}

// number keeps three significant digits, and no exponent.
func number(x float64) string {
	switch a := math.Abs(x); {
	case a >= 100 || a == 0:
		return fmt.Sprintf("%.0f", x)
	case a >= 10:
		return fmt.Sprintf("%.1f", x)
	case a >= 1:
		return fmt.Sprintf("%.2f", x)
	default:
		return fmt.Sprintf("%.3f", x)
	}
}

// text lines the columns up, the first one to the left, the others to the right.
func (t table) text() string {
	width := make([]int, len(t[0]))
	for _, row := range t {
		for i, c := range row {
			width[i] = max(width[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, row := range t {
		var line strings.Builder
		for i, c := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(c))
			if i == 0 {
				line.WriteString(c + pad)
			} else {
				line.WriteString("  " + pad + c)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return b.String()
}

// markdown is the same as a table of GitHub's.
func (t table) markdown() string {
	var b strings.Builder
	for i, row := range t {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---|" + strings.Repeat("--:|", len(row)-1) + "\n")
		}
	}
	return b.String()
}

// ScenarioText is a scenario's table for a terminal.
func (r *Report) ScenarioText(s Scenario) string { return r.scenarioTable(s).text() }

// Text is what the run ends with on a terminal: verdicts and warnings. The tables were printed as they came.
func (r *Report) Text() string {
	var b strings.Builder
	for _, n := range r.Networks {
		part := r.Over(n.Name)
		for _, judged := range r.Judged {
			if vs := part.Verdicts(judged); len(vs) > 0 {
				b.WriteString(verdictTable(judged+" over "+n.Name, vs).text() + "\n")
			}
		}
	}
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "missing: %s\n", m)
	}
	for _, s := range r.Invalid() {
		fmt.Fprintf(&b, "!! INVALID: %s\n", s.Fault())
	}
	if d := r.Disturbance(); d != "" {
		b.WriteString("!! " + d + "\n")
	}
	return b.String()
}

func verdictTable(judged string, vs []Verdict) table {
	t := table{{"targets of " + judged, "want", "got", "repetitions", "", ""}}
	for _, v := range vs {
		t = append(t, []string{v.Scenario + " " + v.Metric, v.Want, v.Got, v.Range, met(v.Met), v.Note})
	}
	return t
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "MISSED"
}
