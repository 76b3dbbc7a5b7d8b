package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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

// ofThePage are the functions that run for pages, the listing on the loops included, and the points of the history. Not those that serve
// the profile itself.
const ofThePage, ofTheProfile = `l4fwd/internal/(admin|metrics)|net/http|relay\.\(\*(Relay|core|loopGroup|uringLoop|epollLoop)\)\.[lL]ook`, `net/http/pprof|runtime/pprof`

var accounted = regexp.MustCompile(`accounting for \S+, (\S+%) of \S+ total`)

// shareOfPage profiles the daemon for a time and returns which share of its processor time it spends for pages. Unlike the difference of
// two phases, it does not depend on what else the machine does; what the garbage collector does for pages is not in it.
func (p *process) shareOfPage(t *testing.T, length time.Duration) string {
	resp, err := http.Get(fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", p.admin, int(length.Seconds())))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	profile, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "profile")
	require.NoError(t, os.WriteFile(file, profile, 0o600))
	out, err := exec.Command("go", "tool", "pprof", "-top", "-nodecount=1", "-focus="+ofThePage, "-ignore="+ofTheProfile, file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	if m := accounted.FindSubmatch(out); m != nil {
		return string(m[1])
	}
	return "0%" // no sample of these functions
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
		share := p.shareOfPage(t, *pageCost)
		used, took := p.processorTime(t)-before, time.Since(begun)
		line := fmt.Sprintf("%-28s %2d pages: %6.2f %% of a processor", what, pages, 100*used.Seconds()/took.Seconds())
		if work != nil {
			n := work.Load() - had
			line += fmt.Sprintf(", %6.0f connections/s, %.1f µs each; of its time for pages: %s", float64(n)/took.Seconds(), float64(used.Microseconds())/float64(n), share)
		}
		t.Log(line)
		stop()
	}
	phases := func(what string, work *atomic.Int64) {
		for range 2 {
			for _, pages := range []int{0, 1, 16} {
				phase(what, pages, work)
			}
		}
	}
	phases("no connection", nil)
	hold(open)
	phases("9,000 idle connections", nil)
	for _, at := range []int{1, 8} { // what the page costs does not grow with the rate
		work, stop := p.churn(at)
		phases(fmt.Sprintf("and new ones, %d at a time", at), work)
		stop()
	}
}
