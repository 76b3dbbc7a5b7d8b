package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var pageCost = flag.Duration("page-cost", 0, "measure what the status page costs, for so long in each of several phases")

// processorTime is what the daemon has used of the processors.
func (p *process) processorTime(t *testing.T) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	require.NoError(t, err)
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int
	for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.Atoi(f)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// look reads the stream as n pages do, until stop is called.
func (p *process) look(t *testing.T, n int) (stop func()) {
	var open []io.Closer
	var wg sync.WaitGroup
	for range n {
		resp, err := http.Get("http://" + p.admin + "/api/v1/stream")
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		open = append(open, resp.Body)
		wg.Go(func() { _, _ = io.Copy(io.Discard, resp.Body) })
	}
	return func() {
		for _, c := range open {
			c.Close()
		}
		wg.Wait()
	}
}

// churn opens and closes connections from several goroutines until stop is called, and counts them.
func (p *process) churn(at int) (n *atomic.Int64, stop func()) {
	n = new(atomic.Int64)
	var over atomic.Bool
	var wg sync.WaitGroup
	for range at {
		wg.Go(func() {
			b := make([]byte, 1)
			for !over.Load() {
				c, err := net.Dial("tcp", p.listen)
				if err != nil {
					continue
				}
				_, _ = c.Write(b)
				if _, err := io.ReadFull(c, b); err == nil {
					n.Add(1)
				}
				_ = c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		})
	}
	return n, func() { over.Store(true); wg.Wait() }
}

// TestPageCost measures. Run it on a quiet machine: go test ./cmd/l4fwd -run PageCost -page-cost 10s -v
func TestPageCost(t *testing.T) {
	if *pageCost == 0 {
		t.Skip("SKIPPED: a measurement, made with -page-cost 10s")
	}
	const open = 9000
	upstream := serveEach(t, func(c net.Conn) { // io.Copy would take two more files for a pipe
		b := make([]byte, 16)
		for n, err := c.Read(b); err == nil; n, err = c.Read(b) {
			_, _ = c.Write(b[:n])
		}
	})
	p := started(t, []string{"L4FWD_LOG_ACCESS=off"}, "--upstream", upstream)
	hold := func(n int) {
		for range n {
			c := p.dial(t)
			require.NoError(t, c.SetDeadline(time.Time{}))
			exchange(t, c)
		}
	}
	phase := func(what string, pages int, work *atomic.Int64) {
		stop := p.look(t, pages)
		time.Sleep(time.Second) // the first message is dearer: rates need a listing
		before, begun, had := p.processorTime(t), time.Now(), int64(0)
		if work != nil {
			had = work.Load()
		}
		time.Sleep(*pageCost)
		used, took := p.processorTime(t)-before, time.Since(begun)
		line := fmt.Sprintf("%-28s %2d pages: %6.2f %% of a processor", what, pages, 100*used.Seconds()/took.Seconds())
		if work != nil {
			n := work.Load() - had
			line += fmt.Sprintf(", %6.0f connections/s, %.1f µs each", float64(n)/took.Seconds(), float64(used.Microseconds())/float64(n))
		}
		t.Log(line)
		stop()
	}
	phases := func(what string, work *atomic.Int64) {
		for range 3 {
			for _, pages := range []int{0, 1, 16} {
				phase(what, pages, work)
			}
		}
	}
	phases("no connection", nil)
	hold(open)
	phases("9,000 idle connections", nil)
	work, stop := p.churn(8)
	defer stop()
	phases("and new ones all the time", work)
}
