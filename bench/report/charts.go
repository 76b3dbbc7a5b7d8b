package report

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"github.com/l4fwd/l4fwd/bench/stats"
)

// chart is groups of bars: a group a scenario or metric, in it a bar a peer.
type chart struct {
	file, title, unit string
	log               bool
	line              float64 // drawn across, where ratios are equal; 0: none
	groups            []string
	value             func(group int, peer string) float64 // NaN: no bar
}

// Charts draws what there are figures for into dir and returns the files' names, which begin with the network's unless
// that is loopback.
func (r *Report) Charts(dir, network string) (files []string, err error) {
	charts := []chart{
		r.ratioChart("cpu.svg", "CPU of the proxy per unit of work (lower is better)", "cpu"),
		r.ratioChart("throughput.svg", "Throughput (higher is better)", "throughput"),
		r.latencyChart(),
		r.memoryChart(),
		r.metricChart("open.svg", "CPU of a 64-byte exchange with 10, 1,000, 9,000 connections open", "µs", "open_cost", "at10", "at1000", "at9000"),
	}
	for _, c := range charts {
		c.title += ", over " + network
		if network != Loopback {
			c.file = network + "-" + c.file
		}
		drawn, err := r.draw(c, dir)
		if err != nil {
			return files, fmt.Errorf("draw %s: %w", c.file, err)
		}
		if drawn {
			files = append(files, c.file)
		}
	}
	return files, nil
}

// ratioChart compares one metric over all scenarios that have it, as ratios to the better HAProxy.
func (r *Report) ratioChart(file, title, metric string) chart {
	c := chart{file: file, title: title, unit: "ratio to the better HAProxy", line: 1}
	for _, s := range r.Scenarios {
		m, ok := r.metric(s.Name, metric)
		if _, name := r.Base(s.Name, m); ok && name != "" {
			c.groups = append(c.groups, s.Name)
		}
	}
	c.value = func(group int, peer string) float64 {
		m, _ := r.metric(c.groups[group], metric)
		base, _ := r.Base(c.groups[group], m)
		return stats.Ratio(r.value(c.groups[group], peer, metric), base)
	}
	return c
}

func (r *Report) latencyChart() chart {
	c := chart{file: "latency.svg", title: "99th percentile of latency (lower is better)", unit: "µs, logarithmic", log: true}
	for _, s := range r.Scenarios {
		if _, ok := r.metric(s.Name, "p99"); ok {
			c.groups = append(c.groups, s.Name)
		}
	}
	c.value = func(group int, peer string) float64 { return r.value(c.groups[group], peer, "p99") }
	return c
}

// memoryChart is logarithmic: a goroutine and a buffer each way are two hundred times a slot in a table.
func (r *Report) memoryChart() chart {
	c := r.metricChart("memory.svg", "Memory of the process for an idle connection", "KiB, logarithmic", "idle_memory", "memory")
	c.log = true
	return c
}

// metricChart compares metrics of one scenario in their own unit.
func (r *Report) metricChart(file, title, unit, scenario string, metrics ...string) chart {
	return chart{file: file, title: title, unit: unit, groups: metrics,
		value: func(group int, peer string) float64 { return r.value(scenario, peer, metrics[group]) }}
}

// value is a median, NaN where there is none.
func (r *Report) value(scenario, peer, metric string) float64 {
	if s := r.Summary(scenario, peer, metric); s.N > 0 {
		return s.Median
	}
	return math.NaN()
}

// draw writes a chart, unless it would be empty.
func (r *Report) draw(c chart, dir string) (bool, error) {
	p := plot.New()
	p.Title.Text = c.title
	p.Y.Label.Text = c.unit
	p.Legend.Top = true
	p.Legend.ThumbnailWidth = vg.Points(8)
	var names []string
	for _, peer := range r.Peers {
		if r.hasBar(c, peer.Name) {
			names = append(names, peer.Name)
		}
	}
	if len(names) == 0 {
		return false, nil
	}
	b := bars{groups: len(c.groups), peers: len(names), line: c.line}
	low, high := math.Inf(1), 0.0
	for g := range c.groups {
		for _, n := range names {
			v := c.value(g, n)
			b.values = append(b.values, v)
			if v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	for i, n := range names {
		b.colors = append(b.colors, shade(n, i))
		p.Legend.Add(n, swatch{b.colors[i]})
	}
	p.Add(b)
	p.NominalX(c.groups...)
	// Room for the legend, beside the bars and not on them.
	perGroup := max(1.2, 0.22*float64(len(names)))
	p.X.Min, p.X.Max = -0.5, float64(len(c.groups))-0.5+1.4/perGroup
	// A few bars far outside would flatten all others: they are cut, and their figures are in the tables.
	p.Y.Min, p.Y.Max = 0, high*1.05
	if c.line > 0 {
		p.Y.Max = min(p.Y.Max, 2.5)
	}
	if c.log {
		p.Y.Min, p.Y.Max = low/2, high*1.5
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	width := vg.Length(2.2+perGroup*float64(len(c.groups))) * vg.Inch
	return true, p.Save(width, 3.2*vg.Inch, filepath.Join(dir, c.file))
}

func (r *Report) hasBar(c chart, peer string) bool {
	for g := range c.groups {
		if v := c.value(g, peer); v > 0 {
			return true
		}
	}
	return false
}

// shade gives a peer a colour of its own: l4fwd and what is compared to it warm ones, the others cool ones.
func shade(name string, i int) color.Color {
	known := []struct {
		prefix string
		c      color.RGBA
	}{
		{"l4fwd-epoll", color.RGBA{0xd9, 0x48, 0x01, 255}}, {"l4fwd-uring", color.RGBA{0x9e, 0x2a, 0x2b, 255}}, {"l4fwd", color.RGBA{0xf0, 0x9b, 0x3c, 255}},
		{"haproxy-splice", color.RGBA{0x1f, 0x5a, 0x96, 255}}, {"haproxy-plain", color.RGBA{0x7f, 0xb0, 0xdc, 255}},
		{"nginx", color.RGBA{0x4b, 0x9b, 0x5f, 255}}, {"go-iocopy", color.RGBA{0x8c, 0x7a, 0xa9, 255}}, {"direct", color.RGBA{0xb8, 0xb8, 0xb8, 255}},
	}
	for _, k := range known {
		if strings.HasPrefix(name, k.prefix) {
			return k.c
		}
	}
	other := []color.RGBA{{0xe0, 0xa8, 0x00, 255}, {0xc7, 0x5d, 0x8a, 255}, {0x8a, 0x5a, 0x2b, 255}}
	return other[i%len(other)]
}
