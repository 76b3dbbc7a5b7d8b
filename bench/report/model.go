// Package report turns the bench's samples into medians, ratios, verdicts, tables and charts.
package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/bench/stats"
)

// Metric is one figure of a scenario.
type Metric struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Higher bool   `json:"higher_is_better"`
	// Plain metrics are shown without a ratio.
	Plain bool `json:"plain,omitempty"`
}

// Scenario is a kind of load and the figures it yields.
type Scenario struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Metrics []Metric `json:"metrics"`
}

// Sample is one repetition of a scenario by a peer.
type Sample struct {
	Net      string             `json:"net"`
	Scenario string             `json:"scenario"`
	Peer     string             `json:"peer"`
	Rep      int                `json:"rep"`
	Tries    int                `json:"tries"` // windows run for it with -again; the least disturbed one is here, the others are not kept
	Values   map[string]float64 `json:"values,omitempty"`
	Errors   []string           `json:"errors,omitempty"` // any makes the sample invalid
	Notes    []string           `json:"notes,omitempty"`
	Foreign  float64            `json:"foreign_cpu"`       // CPU of processes that are not the bench's, share of all cores
	Busiest  string             `json:"busiest,omitempty"` // of those processes
	Steal    float64            `json:"steal_cpu"`         // taken by the hypervisor, share of all cores
	Vanished int                `json:"vanished_threads"`  // of the peer, within the window
}

// Fault says which sample is invalid, and why.
func (s Sample) Fault() string {
	return fmt.Sprintf("%s by %s over %s, repetition %d: %s", s.Scenario, s.Peer, s.Net, s.Rep+1, strings.Join(s.Errors, "; "))
}

// Disturbance is the share of the machine's CPU that others had, processes and the hypervisor.
func (s Sample) Disturbance() float64 { return s.Foreign + s.Steal }

// Peer is one relay of the run.
type Peer struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Loopback is the network that every machine has.
const Loopback = "loopback"

// Network is what client, proxy and origin are joined by.
type Network struct {
	Name string `json:"name"`
	What string `json:"what"`
}

// Missing is a peer, or a whole network, that took no part.
type Missing struct {
	What string   `json:"what"`
	Over []string `json:"over,omitempty"` // the networks it is missing from; none for a network
	Why  string   `json:"why"`            // what to do about it, or what it said itself
}

func (m Missing) String() string {
	if len(m.Over) == 0 {
		return fmt.Sprintf("%s: %s", m.What, m.Why)
	}
	return fmt.Sprintf("%s over %s: %s", m.What, strings.Join(m.Over, ", "), m.Why)
}

// Machine is where and when the run took place.
type Machine struct {
	Date    time.Time `json:"date"`
	Kernel  string    `json:"kernel"`
	CPU     string    `json:"cpu"`
	Cores   int       `json:"cores"`
	Memory  string    `json:"memory"`
	Go      string    `json:"go"`
	Commit  string    `json:"commit"`
	Files   int       `json:"file_limit"`
	Command string    `json:"command"`
	Seconds float64   `json:"run_seconds"`
}

// Report is a whole run. What compares samples is asked of one network's part of it, see Over.
type Report struct {
	Machine   Machine    `json:"machine"`
	Networks  []Network  `json:"networks"`
	Peers     []Peer     `json:"peers"`
	Missing   []Missing  `json:"missing,omitempty"`
	Scenarios []Scenario `json:"scenarios"`
	Samples   []Sample   `json:"samples"`
	Judged    []string   `json:"judged"` // the peers held against the targets
}

// Over is the report with the samples of one network only.
func (r *Report) Over(network string) *Report {
	part := *r
	part.Samples = nil
	for _, s := range r.Samples {
		if s.Net == network {
			part.Samples = append(part.Samples, s)
		}
	}
	return &part
}

// Lacks notes that what took no part over a network, or that a network did not; the same reason over two is one entry.
func (r *Report) Lacks(what, network, why string) {
	for i, m := range r.Missing {
		if m.What == what && m.Why == why {
			r.Missing[i].Over = append(m.Over, network)
			return
		}
	}
	m := Missing{What: what, Why: why}
	if network != "" {
		m.Over = []string{network}
	}
	r.Missing = append(r.Missing, m)
}

// Summary is a metric of a peer over its valid repetitions.
func (r *Report) Summary(scenario, peer, metric string) stats.Summary {
	var v []float64
	for _, s := range r.Samples {
		if s.Scenario == scenario && s.Peer == peer && len(s.Errors) == 0 {
			if x, ok := s.Values[metric]; ok && !math.IsNaN(x) {
				v = append(v, x)
			}
		}
	}
	return stats.Summarize(v)
}

// Base is what ratios are taken to: the median of the HAProxy configuration that does better in this metric, and its name.
func (r *Report) Base(scenario string, m Metric) (float64, string) {
	best, name := math.NaN(), ""
	for _, p := range r.Peers {
		if !strings.HasPrefix(p.Name, "haproxy") {
			continue
		}
		s := r.Summary(scenario, p.Name, m.Name)
		if s.N > 0 && (name == "" || stats.Better(s.Median, best, m.Higher) != best) {
			best, name = s.Median, p.Name
		}
	}
	return best, name
}

// Invalid is the samples that had errors.
func (r *Report) Invalid() (bad []Sample) {
	for _, s := range r.Samples {
		if len(s.Errors) > 0 {
			bad = append(bad, s)
		}
	}
	return bad
}

// Disturbed is the share of a machine's CPU above which a sample counts as disturbed by others.
const Disturbed = 0.05

// Disturbance says how far the machine was from idle, or nothing where it was.
func (r *Report) Disturbance() string {
	var n int
	var foreign, steal float64
	var who string
	for _, s := range r.Samples {
		if s.Foreign > foreign {
			foreign, who = s.Foreign, s.Busiest
		}
		steal = max(steal, s.Steal)
		if s.Disturbance() > Disturbed {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("THE MACHINE WAS NOT IDLE: in %d of %d windows others took more than %.0f %% of the CPU (processes at worst %.0f %%, most of it %s; the hypervisor %.0f %%). "+
		"These figures are not to be trusted or compared.", n, len(r.Samples), 100*Disturbed, 100*foreign, who, 100*steal)
}

// ran reports whether a peer has any sample.
func (r *Report) ran(peer string) bool {
	return slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Peer == peer })
}

// present is the peers that have a figure in a scenario.
func (r *Report) present(s Scenario) (names []string) {
	for _, p := range r.Peers {
		for _, m := range s.Metrics {
			if r.Summary(s.Name, p.Name, m.Name).N > 0 {
				names = append(names, p.Name)
				break
			}
		}
	}
	return names
}

// Write puts latest.json, latest.md and the charts into dir.
func (r *Report) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	charts := map[string][]string{}
	for _, n := range r.Networks {
		if charts[n.Name], err = r.Over(n.Name).Charts(dir, n.Name); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "latest.json"), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "latest.md"), []byte(r.Markdown(charts)), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
