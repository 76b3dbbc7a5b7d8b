package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// samples maps a series, name with labels as exposed, to its value.
type samples map[string]float64

// move is a series that changed. A series that was not there before has no before.
type move struct {
	series        string
	before, after float64
	fresh         bool
}

// scrape reads l4fwd's own metrics as they are now.
func (s *stack) scrape(ctx context.Context) (samples, error) {
	status, body, err := get(ctx, "http://"+s.health+"/metrics")
	if err != nil {
		return nil, fmt.Errorf("scrape l4fwd: %w", err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("scrape l4fwd: status %d", status)
	}
	return parseMetrics(string(body)), nil
}

// parseMetrics picks l4fwd's series, without the buckets of histograms, out of the text exposition format.
// The format's timestamps, which l4fwd does not write, are not understood.
func parseMetrics(text string) samples {
	found := samples{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "l4fwd_") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			continue
		}
		series := strings.TrimSpace(line[:at])
		name, _, _ := strings.Cut(series, "{")
		if strings.HasSuffix(name, "_bucket") {
			continue
		}
		if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
			found[series] = v
		}
	}
	return found
}

// moved waits until the metrics count one more connection that ended, and returns all series that changed.
func (s *stack) moved(ctx context.Context, before samples) ([]move, error) {
	deadline := time.Now().Add(s.patience)
	for {
		after, err := s.scrape(ctx)
		if err != nil {
			return nil, err
		}
		if after.sum("l4fwd_connections_total") > before.sum("l4fwd_connections_total") {
			return diff(before, after), nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("l4fwd_connections_total did not move within %s", s.patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// sum adds a metric's series up over its labels.
func (m samples) sum(name string) float64 {
	total := 0.0
	for series, v := range m {
		if n, _, _ := strings.Cut(series, "{"); n == name {
			total += v
		}
	}
	return total
}

// diff is what changed from before to after, by name. A fresh series that is still 0 did not move.
func diff(before, after samples) []move {
	var moves []move
	for _, series := range slices.Sorted(maps.Keys(after)) {
		was, known := before[series]
		if is := after[series]; is != was {
			moves = append(moves, move{series: series, before: was, after: is, fresh: !known})
		}
	}
	return moves
}
