package main

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flooder runs a server that sends for as long as somebody takes it, with a small buffer of its own.
func flooder(t *testing.T) string {
	t.Helper()
	return serveEach(t, func(c net.Conn) {
		_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10)
		zeros := make([]byte, 32<<10)
		for {
			if _, err := c.Write(zeros); err != nil {
				return
			}
		}
	})
}

// After three times 1,000 clients that did not read, the heap stayed at 56 to 78 MiB for two minutes: the collector does not run where
// nothing is allocated, and the free buffers were kept. L4FWD_STUCK_CLIENTS=1000 repeats that.
func TestMemoryComesBackAfterClientsThatDidNotRead(t *testing.T) {
	t.Parallel()
	clients := 200
	if n, err := strconv.Atoi(os.Getenv("L4FWD_STUCK_CLIENTS")); err == nil {
		clients = n
	}
	for _, engine := range []string{"uring", "epoll", "portable"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, nil, "--upstream", flooder(t), "--engine", engine).start(t)
			p.eventually(t, func() bool {
				return p.get("/readyz") == "200 ok\n" || strings.Contains(p.log.String(), "cannot be used")
			})
			if strings.Contains(p.log.String(), "cannot be used") {
				t.Skip("this machine has no " + engine)
			}
			heap, rss := p.memory(t)
			t.Logf("at first: heap %.1f MiB, resident %.1f MiB", heap, rss)
			for range 3 {
				p.stuck(t, clients)
			}
			begun := time.Now()
			var heapNow, rssNow float64
			p.eventually(t, func() bool {
				heapNow, rssNow = p.memory(t)
				return heapNow < heap+10 && rssNow < rss+30
			}, &heapNow, &rssNow)
			t.Logf("after %.1f s: heap %.1f MiB, resident %.1f MiB", time.Since(begun).Seconds(), heapNow, rssNow)
		})
	}
}

// stuck has clients come that do not read, waits until all are stuck, and ends them.
func (p *process) stuck(t *testing.T, clients int) {
	t.Helper()
	all := make([]net.Conn, clients)
	for i := range all {
		all[i] = p.dial(t)
		_ = all[i].(*net.TCPConn).SetReadBuffer(16 << 10)
	}
	last := ""
	p.eventually(t, func() bool { // nothing moves any more
		time.Sleep(300 * time.Millisecond)
		before := last
		last = p.metricText(`l4fwd_bytes_total{[^}]*direction="download"[^}]*}`)
		return last != "" && last == before
	})
	heap, rss := p.memory(t)
	t.Logf("%d stuck: heap %.1f MiB, resident %.1f MiB", clients, heap, rss)
	for _, c := range all {
		require.NoError(t, c.Close())
	}
	p.eventually(t, func() bool { return p.metricText(`l4fwd_connections_active{[^}]*}`) == "0" })
}

// memory is the heap that the runtime has from the system, and what is resident, in MiB.
func (p *process) memory(t *testing.T) (heap, resident float64) {
	t.Helper()
	read := func(name string) float64 {
		v, err := strconv.ParseFloat(p.metricText(name), 64)
		require.NoError(t, err, name)
		return v / (1 << 20)
	}
	return read("go_memstats_heap_inuse_bytes"), read("process_resident_memory_bytes")
}

// metricText is the value of the first series that matches, as /metrics writes it; empty if there is none.
func (p *process) metricText(series string) string {
	m := regexp.MustCompile(fmt.Sprintf(`(?m)^%s (\S+)$`, series)).FindStringSubmatch(p.get("/metrics"))
	if m == nil {
		return ""
	}
	return m[1]
}
