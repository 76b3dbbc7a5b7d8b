package relay

import (
	"context"
	"runtime"
	"time"

	"github.com/stretchr/testify/require"
)

var slowScenarios = []scenario{
	{"slow client", "64 MiB to a client that does not read: the relay takes a bounded share, and waits without spinning", false, slowClient},
	{"slow upstream", "the same in the other direction", false, slowUpstream},
	{"fairness", "bulk beside it does not starve a connection that exchanges messages", false, fairness},
}

func slowClient(r *rig) {
	c := r.dialSlow()
	slowReader(r, r.accept(), c)
	r.closed(UpstreamClosed, 0, 64*mib)
}

func slowUpstream(r *rig) {
	r.slowOrigin()
	c, u := r.pair()
	slowReader(r, c, u)
	r.closed(ClientClosed, 64*mib, 0)
}

// slowReader sends 64 MiB to a peer that begins to read only when nothing moves any more.
func slowReader(r *rig, from, to *peer) {
	r.needsLinux()
	const total = 64 * mib
	var before, stalled runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	sent, _ := from.floodUntil(400*time.Millisecond, 1, total)
	require.Less(r, sent, total/2, "the relay and the kernel took more than a bounded share")
	runtime.GC()
	runtime.ReadMemStats(&stalled)
	require.Less(r, int64(stalled.HeapAlloc)-int64(before.HeapAlloc), int64(2*mib), "memory held in the process")

	cpu, begun := cpuTime(), time.Now()
	time.Sleep(300 * time.Millisecond)
	require.Less(r, cpuTime()-cpu, time.Since(begun)/4, "processor time while nothing can move")

	rest := newStream(1)
	skip(rest, sent)
	r.all(
		func() {
			buf := make([]byte, 256<<10)
			for left := total - sent; left > 0; {
				chunk := buf[:min(left, len(buf))]
				rest.Read(chunk)
				_, err := from.Write(chunk)
				require.NoError(r, err)
				left -= len(chunk)
			}
			from.fin()
		},
		func() {
			to.wantStream(1, total)
			to.wantEnd(sawFIN)
			to.Close()
		},
	)
	from.wantEnd(sawFIN)
}

// skip reads n bytes of a stream.
func skip(s stream, n int) {
	for buf := make([]byte, 64<<10); n > 0; {
		m := min(n, len(buf))
		s.Read(buf[:m])
		n -= m
	}
}

func fairness(r *rig) {
	r.opts.Loops = 1
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	bulk := func(c, u *peer) []func() {
		buf := make([]byte, 256<<10)
		return []func(){
			func() {
				for ctx.Err() == nil {
					u.goesOn()
					if _, err := u.Write(buf); err != nil {
						r.Errorf("bulk: %v", err)
						return
					}
				}
				u.Close()
			},
			func() { c.rest64() },
		}
	}
	work := append(bulk(r.pair()), bulk(r.pair())...)
	c, u := r.pair()
	var slowest time.Duration
	work = append(work, func() {
		defer stop()
		for range 200 {
			c.goesOn()
			u.goesOn()
			begun := time.Now()
			c.send("ping")
			u.want("ping")
			u.send("pong")
			c.want("pong")
			slowest = max(slowest, time.Since(begun))
		}
		if l := r.onlyLoop(); l != nil {
			require.LessOrEqual(r, busiestTurn(r, l), maxTurn, "bytes moved between two looks at the loop's mailbox")
		}
	})
	r.all(work...)
	require.Less(r, slowest, 3*time.Second)
}

// goesOn gives the next step of a peer its patience: all steps together may take longer beside bulk on a busy machine.
func (p *peer) goesOn() { p.SetDeadline(time.Now().Add(patience)) }

// rest64 reads to the end and forgets what it read.
func (p *peer) rest64() {
	for buf := make([]byte, 256<<10); ; {
		p.goesOn()
		if _, err := p.Read(buf); err != nil {
			return
		}
	}
}
