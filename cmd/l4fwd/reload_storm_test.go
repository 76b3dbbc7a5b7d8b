package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// 200 reloads asked for in a second, of files that differ, while clients come and go.
func TestReloadStorm(t *testing.T) {
	one, two := greeterNamed(t, "one"), greeterNamed(t, "two")
	listen, other := freePort(t), freePort(t)
	texts := []string{
		fmt.Sprintf("listen: [%q]\nupstream: %q\n", listen, one),
		fmt.Sprintf("listeners: [{name: in, address: %q}, {address: %q}]\nupstreams: [{name: a, address: %q}]\n", listen, other, two),
		fmt.Sprintf("listeners: [{address: %q, upstream: b}]\nupstreams: [{name: a, address: %q}, {name: b, address: %q}]\n", listen, two, one),
		"listeners: [\n",
	}
	p := startedWithFile(t, texts[0], nil)
	for _, text := range append(slices.Clone(texts[1:3]), texts[0]) { // all that is made once is made
		p.writes(t, text)
		p.reload(t, saidReloaded)
	}
	live, _ := hail(t, listen)
	settled := func() (fds, routines int) {
		return p.metric(t, "process_open_fds"), p.metric(t, "go_goroutines")
	}
	fds, routines := settled()
	stop, served := make(chan struct{}), atomic.Int64{}
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.Dial("tcp", listen)
				if err != nil {
					t.Errorf("dial: %v", err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				line, err := bufio.NewReader(c).ReadString('\n')
				c.Close()
				if err != nil {
					t.Errorf("greeted with %q: %v", line, err)
					return
				}
				served.Add(1)
			}
		})
	}
	for i := range 200 {
		temporary := p.file + ".new"
		require.NoError(t, os.WriteFile(temporary, []byte(texts[i%len(texts)]), 0o600))
		require.NoError(t, os.Rename(temporary, p.file))
		p.signal(t, syscall.SIGHUP)
		time.Sleep(5 * time.Millisecond)
	}
	p.writes(t, texts[0])
	p.eventually(t, func() bool { // until one that found the last file has ended
		p.reload(t, saidReloaded)
		return p.get("/metrics") != "" && strings.Contains(p.get("/metrics"), "\nl4fwd_config_reload_success 1\n")
	})
	close(stop)
	clients.Wait()
	exchange(t, live)
	require.Positive(t, served.Load())
	p.eventually(t, func() bool {
		f, r := settled()
		return f <= fds && r <= routines
	})
	require.NotContains(t, p.log.String(), "panic")
}

// metric returns a metric without labels.
func (p *process) metric(t *testing.T, name string) int {
	t.Helper()
	v := p.metricIfAny(name)
	require.GreaterOrEqual(t, v, 0, "there is no %s", name)
	return v
}

// metricIfAny returns a metric without labels; -1: there is none.
func (p *process) metricIfAny(name string) int {
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(p.get("/metrics"))
	if len(m) < 2 {
		return -1
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return -1
	}
	return int(v)
}
