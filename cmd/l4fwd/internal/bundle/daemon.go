package bundle

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"
)

// apart is how long it is from the first scrape of the metrics to the second, if Options do not say: rates follow from the two.
const apart = 5 * time.Second

// errNobody stands in place of each answer if there is nobody to ask.
var errNobody = errors.New("there is no daemon to ask")

// daemon are the parts that the running daemon answers. Its command line is not among them: it may hold anything.
func (o *Options) daemon() []Part {
	get := func(name, path, about string, limit int) Part {
		return Part{Name: name, About: about, Limit: limit, Get: func(ctx context.Context, out io.Writer) error { return o.ask(ctx, path, out) }}
	}
	second := get("metrics-2.txt", "/metrics", "the metrics, some seconds after the first", 0)
	ask, pause := second.Get, cmp.Or(o.Apart, apart)
	second.Time = pause + partTime
	second.Get = func(ctx context.Context, out io.Writer) error {
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
			return ask(ctx, out)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	heap := get("heap.pb.gz", "/debug/pprof/heap", "the heap, for go tool pprof", 0)
	heap.Binary = true
	return []Part{
		get("status.json", "/api/v1/status", "the daemon's state", 0),
		get("config-running.yaml", "/api/v1/config", "the configuration that the daemon uses", 0),
		get("conns.json", "/api/v1/conns", "the live connections", 16<<20),
		get("addresses.json", "/api/v1/addresses", "the addresses of the upstreams", 0),
		get("events.json", "/api/v1/events", "the last events", 0),
		get("log-level.json", "/api/v1/log-level", "the level of the log", 0),
		get("log.txt", "/api/v1/log", "the last lines of the log", 0),
		get("metrics-1.txt", "/metrics", "the metrics", 0),
		second,
		get("goroutines.txt", "/debug/pprof/goroutine?debug=2", "the goroutines, each with its stack", 8<<20),
		heap,
	}
}

// ask copies the daemon's answer.
func (o *Options) ask(ctx context.Context, path string, out io.Writer) error {
	switch {
	case o.AskErr != nil:
		return o.AskErr
	case o.Ask == nil:
		return errNobody
	}
	body, err := o.Ask(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(out, body)
	return err
}
