package metrics

import (
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewHandler serves /metrics: the table, and the collectors of Go and of the process. take returns the state of the moment;
// it may be called from several goroutines at once.
// Callers that do not read their answers hold a bounded amount of memory.
func NewHandler(take func() *Scrape, complaints *log.Logger) http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(take), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return newBounded(promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorLog: complaints}))
}

// collector makes the metrics of the table at the moment of a scrape. It keeps nothing between two scrapes.
type collector struct {
	take  func() *Scrape
	descs []*prometheus.Desc // in the order of table
}

// newCollector returns a collector that asks take at each scrape.
func newCollector(take func() *Scrape) *collector {
	c := &collector{take: take, descs: make([]*prometheus.Desc, len(table))}
	for i, m := range table {
		c.descs[i] = prometheus.NewDesc(prefix+m.name, m.help, m.labels, nil)
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
	for i, m := range table {
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
