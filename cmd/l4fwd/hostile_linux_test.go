package main

import (
	"bytes"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostileOrigin does what the first byte of a client says: e echoes, f sends without end, s does not read, r sends and resets, q
// answers and closes beside an upload.
func hostileOrigin(t *testing.T) string {
	t.Helper()
	ended := make(chan struct{})
	addr := serveEach(t, func(c net.Conn) {
		mood := make([]byte, 1)
		if _, err := io.ReadFull(c, mood); err != nil {
			return
		}
		switch mood[0] {
		case 'f':
			for b := make([]byte, 64<<10); ; {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		case 's':
			select {
			case <-ended:
			case <-time.After(10 * time.Second): // the connection is long gone, and its file is needed in an hour of them
			}
		case 'r':
			say(c, "so long")
			_ = c.(*net.TCPConn).SetLinger(0)
		case 'q':
			say(c, "early")
		default:
			_, _ = io.Copy(c, c)
		}
	})
	t.Cleanup(func() { close(ended) })
	return addr
}

var hostileFor = flag.Duration("hostile", 0, "attack for so long, each way again and again, and report each minute; 0: each way three times")

// Some 40 ways of a hostile network at once, on the built binary: no honest byte is lost beside them, the daemon lives, its counters
// balance and what it held is given back.
func TestHostileNetwork(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"auto", "epoll", "portable"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			h := hostile{plain: freePort(t), named: freePort(t), hello: string(clientHello(t, "a.example")), stranger: string(clientHello(t, "z.example"))}
			p := startedWithFile(t, fmt.Sprintf(`listeners:
- {name: plain, address: %q, upstream: up}
- {name: named, address: %q, accept_proxy: optional, routes: [{sni: [a.example], upstream: up}]}
upstreams: [{name: up, address: %q}]
timeouts: {preface: 1s, half_close: %s}
log: {access: all}
`, h.plain, h.named, hostileOrigin(t), 10*time.Second+*hostileFor/100), []string{"L4FWD_ENGINE=" + engine})
			h.health, h.admin = p.health, p.admin
			files, tasks := p.sum(t, "process_open_fds"), p.sum(t, "go_goroutines")
			p.reports(t)
			p.attacked(t, h, *hostileFor)
			p.balances(t)
			const kept = 40 // pipes, and connections of the two ports that have not ended yet
			p.eventually(t, func() bool {
				return p.sum(t, "process_open_fds") <= files+kept && p.sum(t, "go_goroutines") <= tasks+kept
			})
			require.Equal(t, "200 ok\n", p.get("/readyz"))
			p.reports(t)
		})
	}
}

// honestExchanges and honestBytes count what honest clients exchanged beside the attacks.
var honestExchanges, honestBytes atomic.Int64

// attacked makes each attack three times, all at once, or again and again for a time, while honest clients go on.
func (p *process) attacked(t *testing.T, h hostile, length time.Duration) {
	t.Helper()
	over := make(chan struct{})
	var honest, attackers sync.WaitGroup
	for range 3 {
		honest.Go(func() { exchangeUntil(t, h.plain, over) })
	}
	end := time.Now().Add(length)
	at := func(addr string, attacks map[string]attack) {
		for _, a := range attacks {
			for range 3 {
				attackers.Go(func() {
					carryOut(a, h, addr)
					for time.Now().Before(end) {
						time.Sleep(mathrand.N(500 * time.Millisecond))
						carryOut(a, h, addr)
					}
				})
			}
		}
	}
	at(h.plain, attacksOnPlain)
	at(h.named, attacksOnNamed)
	at(h.health, attacksOnPorts)
	at(h.admin, attacksOnPorts)
	for time.Until(end) > time.Minute && !t.Failed() {
		time.Sleep(time.Minute)
		p.reports(t)
	}
	attackers.Wait()
	close(over)
	honest.Wait()
}

// reports logs what the daemon has done and holds, and judges what it has logged since the last time.
func (p *process) reports(t *testing.T) {
	t.Helper()
	logged := p.log.take()
	for _, word := range []string{"panic", "fatal error", `"reason":"internal"`} {
		require.NotContains(t, logged, word)
	}
	var line strings.Builder
	for _, name := range []string{"l4fwd_accepted_total", "l4fwd_refused_total", "l4fwd_connections_active", "l4fwd_bytes_total", "process_open_fds",
		"go_goroutines", "process_resident_memory_bytes", "go_memstats_heap_inuse_bytes", "process_cpu_seconds_total"} {
		fmt.Fprintf(&line, " %s %.0f", name, p.sum(t, name))
	}
	t.Logf("%d bytes logged, %d honest exchanges of %d bytes;%s", len(logged), honestExchanges.Load(), honestBytes.Load(), &line)
}

// carryOut makes an attack on an address; one that cannot connect has failed, which is no fault.
func carryOut(a attack, h hostile, addr string) {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	a(h, c.(*net.TCPConn))
}

// exchangeUntil sends and gets back random bytes on new connections, once at least, until over.
func exchangeUntil(t *testing.T, addr string, over <-chan struct{}) {
	sent := make([]byte, 300<<10)
	_, _ = rand.Read(sent)
	for n := 1; ; n++ {
		c, err := net.DialTimeout("tcp", addr, 30*time.Second)
		if !assert.NoError(t, err) {
			return
		}
		_ = c.SetDeadline(time.Now().Add(60 * time.Second))
		go func() {
			_, _ = c.Write(append([]byte("e"), sent...))
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		c.Close()
		if !assert.NoError(t, err) || !assert.True(t, bytes.Equal(sent, got), "exchange %d: %d of %d bytes", n, len(got), len(sent)) {
			return
		}
		honestExchanges.Add(1)
		honestBytes.Add(int64(2 * len(sent)))
		select {
		case <-over:
			return
		case <-time.After(mathrand.N(min(40*time.Millisecond, *hostileFor+1))): // for an hour beside others on the machine
		}
	}
}

// balances waits until each client that was accepted has ended once, or was refused.
func (p *process) balances(t *testing.T) {
	t.Helper()
	var accepted, ended, refused float64
	p.eventually(t, func() bool {
		accepted, ended, refused = p.sum(t, "l4fwd_accepted_total"), p.sum(t, "l4fwd_connections_total"), p.sum(t, "l4fwd_refused_total")
		return p.sum(t, "l4fwd_connections_active") == 0 && accepted == ended+refused
	}, &accepted, &ended, &refused)
	t.Logf("accepted %v, ended %v, refused %v", accepted, ended, refused)
	require.Greater(t, ended, 100.0)
	require.Greater(t, refused, 10.0)
}

// sum adds up the series of a metric.
func (p *process) sum(t *testing.T, name string) (sum float64) {
	t.Helper()
	text := p.get("/metrics")
	for tries := 0; tries < 5 && text == ""; tries++ { // the machine may be busy
		text = p.get("/metrics")
	}
	require.True(t, strings.HasPrefix(text, "200 "), "no metrics: %.200s", text)
	for _, m := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^}]*\})? (\S+)$`).FindAllStringSubmatch(text, -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		require.NoError(t, err)
		sum += v
	}
	return sum
}
