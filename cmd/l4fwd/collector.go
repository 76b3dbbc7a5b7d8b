package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"
)

// collector makes the metrics of the table at the moment of a scrape; nothing is kept between two.
type collector struct {
	take  func() *scrape
	descs []*prometheus.Desc // as metricTable
}

func newCollector(take func() *scrape) *collector {
	c := &collector{take: take, descs: make([]*prometheus.Desc, len(metricTable))}
	for i, m := range metricTable {
		c.descs[i] = prometheus.NewDesc(metricPrefix+m.name, m.help, m.labels, nil)
	}
	return c
}

// Describe sends the descriptor of each metric.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect sends the values of each metric.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.take()
	for i, m := range metricTable {
		if m.histograms != nil {
			for label, h := range m.histograms(s) {
				out <- prometheus.MustNewConstHistogram(c.descs[i], h.Count, h.Sum, h.Buckets, label)
			}
			continue
		}
		m.values(s, func(value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(c.descs[i], m.kind, value, labels...)
		})
	}
}

// scrape takes the daemon's state.
func (d *daemon) scrape() *scrape {
	st, last := d.fwd.Stats(), d.lastReload()
	s := &scrape{
		stats: st, rates: d.rates.rates(st), build: d.build,
		draining: d.draining.Load(), loaded: last.at, reloadFailed: len(last.faults) > 0,
		files: openFiles(), dropped: st.AccessDropped + d.lines.Dropped(),
		sockets: len(d.settings().Listeners) * max(d.cfg.Loops, 1),
	}
	d.cloud.measure(s)
	return s
}

// newMetricsHandler serves /metrics: the table, and what Go and the process tell of themselves.
func newMetricsHandler(d *daemon) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(d.scrape), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{
		ErrorLog:            stdLogger(d.log.With(zap.String("handler", "metrics"))),
		MaxRequestsInFlight: 4, // a scrape costs milliseconds; more at once are not Prometheus
	})
}
