package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/bench/stats"
)

// Markdown is the report as a page; charts are file names next to it, by network.
func (r *Report) Markdown(charts map[string][]string) string {
	var b strings.Builder
	b.WriteString("# Bench\n\n")
	if d := r.Disturbance(); d != "" {
		b.WriteString("> **" + d + "**\n\n")
	}
	for _, s := range r.Invalid() {
		fmt.Fprintf(&b, "> **Invalid:** %s\n\n", s.Fault())
	}
	b.WriteString(r.machineLine() + "\n\n")
	b.WriteString("Medians of the valid repetitions; ± is half their range. × is the ratio to the HAProxy configuration that does better in that very figure. " +
		"`cpu` is the CPU of the proxy's processes per unit of work. Everything shares one machine: compare within a run, never between runs.\n\n")
	for _, n := range r.Networks {
		fmt.Fprintf(&b, "## Over %s\n\n%s\n\n", n.Name, n.What)
		r.Over(n.Name).networkSection(&b, n.Name, charts[n.Name])
	}
	r.peerSection(&b)
	return b.String()
}

// networkSection is all there is to say of one network: verdicts, ratios, charts, a table a scenario.
func (r *Report) networkSection(b *strings.Builder, name string, charts []string) {
	for _, judged := range r.Judged {
		if vs := r.Verdicts(judged); len(vs) > 0 {
			fmt.Fprintf(b, "### Targets of %s over %s\n\n%s\n", judged, name, verdictTable(judged, vs).markdown())
		}
	}
	r.ratioSection(b, name)
	for _, c := range charts {
		fmt.Fprintf(b, "![%s](%s)\n\n", strings.TrimSuffix(c, ".svg"), c)
	}
	for _, s := range r.Scenarios {
		if len(r.present(s)) == 0 {
			continue
		}
		fmt.Fprintf(b, "### %s over %s\n\n%s\n\n%s\n", s.Name, name, s.Title, r.scenarioTable(s).markdown())
		for _, n := range r.notes(s.Name) {
			fmt.Fprintf(b, "- %s\n", n)
		}
		b.WriteString("\n")
	}
}

func (r *Report) machineLine() string {
	m := r.Machine
	return fmt.Sprintf("%s · commit %s · Linux %s · %s, %d cores, %s · %s · %d open files · `%s`, %.0f s",
		m.Date.Format(time.RFC3339), m.Commit, m.Kernel, m.CPU, m.Cores, m.Memory, m.Go, m.Files, m.Command, m.Seconds)
}

// ratioSection is a whole network on one screen: the ratios of all CPU and throughput figures.
func (r *Report) ratioSection(b *strings.Builder, name string) {
	t := table{{"ratio to the better HAProxy"}}
	for _, p := range r.Peers {
		if r.ran(p.Name) {
			t[0] = append(t[0], p.Name)
		}
	}
	for _, s := range r.Scenarios {
		for _, m := range s.Metrics {
			base, name := r.Base(s.Name, m)
			if m.Plain || name == "" {
				continue
			}
			row := []string{s.Name + " " + m.Name}
			for _, p := range t[0][1:] {
				row = append(row, ratio(r.Summary(s.Name, p, m.Name), base))
			}
			t = append(t, row)
		}
	}
	if len(t) > 1 {
		fmt.Fprintf(b, "### Ratios over %s\n\n%s\n", name, t.markdown())
	}
}

// notes are what samples had to say, each once.
func (r *Report) notes(scenario string) (notes []string) {
	seen := map[string]bool{}
	for _, s := range r.Samples {
		if s.Scenario != scenario {
			continue
		}
		for _, n := range s.Notes {
			if n = s.Peer + ": " + n; !seen[n] {
				seen[n] = true
				notes = append(notes, n)
			}
		}
	}
	return notes
}

func (r *Report) peerSection(b *strings.Builder) {
	b.WriteString("## Peers\n\n")
	for _, p := range r.Peers {
		if r.ran(p.Name) {
			fmt.Fprintf(b, "- %s: %s\n", p.Name, p.Version)
		}
	}
	for _, m := range r.Missing {
		fmt.Fprintf(b, "- **missing:** %s\n", m)
	}
	var foreign, steal []float64
	for _, s := range r.Samples {
		foreign, steal = append(foreign, s.Foreign), append(steal, s.Steal)
	}
	f, st := stats.Summarize(foreign), stats.Summarize(steal)
	fmt.Fprintf(b, "\nCPU of foreign processes in the windows: median %.1f %%, at worst %.1f %%; stolen by the hypervisor: %.1f %%, %.1f %%.\n",
		100*f.Median, 100*f.Max, 100*st.Median, 100*math.Max(st.Max, 0))
}
