package soak

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/testport"
)

// soakDaemon is one instance: a process, and after a drain another one at the same addresses.
type soakDaemon struct {
	s         *soak
	index     int
	listeners [soakListeners]string
	health    string
	admin     string
	file      string

	mu     sync.Mutex // held while the file is changed, or the process is drained
	engine string
	now    *soakProcess
	texts  int            // written to the file
	warm   map[string]int // warm connections used by this process when it was last at rest

	ready  atomic.Pointer[soakReady]
	drains soakSpans

	extra struct { // whether its second listener is there, and who is about to connect to it
		sync.RWMutex
		there bool
	}
	log soakLog
}

// soakReady is when the load balancer last found the daemon ready.
type soakReady struct{ at time.Time }

func newSoakDaemon(s *soak, index int, engine string) *soakDaemon {
	d := &soakDaemon{s: s, index: index, engine: engine, health: testport.Free(s.t), admin: testport.Free(s.t)}
	d.log.d = d
	d.log.said = map[string]int{}
	for i := range d.listeners {
		d.listeners[i] = testport.Free(s.t)
	}
	d.file = filepath.Join(s.t.TempDir(), "l4fwd.yaml")
	s.t.Cleanup(func() {
		if d.now != nil {
			_ = d.now.signal(syscall.SIGKILL) // mostly it is gone
			d.now.awaitLog()
		}
	})
	return d
}

// start runs a process. The caller has mu, or is alone.
func (d *soakDaemon) start() {
	d.extra.Lock()
	d.extra.there = true
	d.extra.Unlock()
	d.warm = map[string]int{}
	d.write(d.text(nil))
	var err error
	d.now, err = startSoakProcess(d.file, &d.log)
	require.NoError(d.s.t, err)
}

func (d *soakDaemon) get(address, path string, timeout time.Duration) (status int, body string) {
	c := http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + address + path)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(b)
}

// await waits for something to hold.
func (d *soakDaemon) await(what string, ok func() bool) bool {
	for end := time.Now().Add(2 * soakPatience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	d.s.fail(fmt.Sprintf("daemon %d (%s): waited in vain: %s", d.index, d.engine, what))
	return false
}

func (d *soakDaemon) isReady() bool {
	status, _ := d.get(d.health, "/readyz", time.Second)
	return status == http.StatusOK
}

func (d *soakDaemon) awaitReady() { d.await("ready", d.isReady) }

// poll is the load balancer's health check, until the test ends.
func (d *soakDaemon) poll() {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		repeat(stop, func() time.Duration { return soakLameDuck / 5 }, func() {
			at := time.Now()
			if d.isReady() {
				d.ready.Store(&soakReady{at})
			} else {
				d.ready.Store(nil)
			}
		})
	})
	d.s.t.Cleanup(func() { close(stop); wg.Wait() })
}

// balancer chooses a daemon that was ready a moment ago, and tells when. It waits for one; nil if it was in vain.
func (s *soak) balancer(r *rand.Rand) (*soakDaemon, time.Time) {
	for end := time.Now().Add(2 * soakPatience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		first := r.IntN(2)
		for _, i := range []int{first, 1 - first} {
			if seen := s.daemons[i].ready.Load(); seen != nil && time.Since(seen.at) < soakLameDuck*3/5 {
				return s.daemons[i], seen.at
			}
		}
	}
	return nil, time.Time{}
}

// enterExtra returns what is to be called once a connection to the second listener has been accepted; nil: it is not there.
func (d *soakDaemon) enterExtra() func() {
	if !d.extra.TryRLock() {
		return nil
	}
	if !d.extra.there {
		d.extra.RUnlock()
		return nil
	}
	return d.extra.RUnlock
}

// drain has the process drained, and starts another one on the other engine.
func (d *soakDaemon) drain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	begun := time.Now()
	d.drains.open(begun)
	d.signal(syscall.SIGTERM)
	d.awaitEnd("a drain", soakLameDuck+soakDrainTime+soakPatience)
	d.now.awaitLog()
	d.drains.close(time.Now())
	d.s.count.add("drains")
	if d.engine == "auto" {
		d.engine = "epoll"
	} else {
		d.engine = "auto"
	}
	d.start()
	d.awaitReady()
}

// awaitEnd waits for the end of the process that runs now, which has to be a good one.
func (d *soakDaemon) awaitEnd(after string, patience time.Duration) {
	select {
	case <-d.now.ended:
		if d.now.code != 0 {
			d.s.fail(fmt.Sprintf("daemon %d (%s): exit status %d after %s", d.index, d.engine, d.now.code, after))
		}
	case <-time.After(patience):
		d.s.fail(fmt.Sprintf("daemon %d (%s) does not end after %s", d.index, d.engine, after))
		_ = d.now.signal(syscall.SIGKILL)
		<-d.now.ended
	}
}

// ends waits for the process, which was told to end for good.
func (d *soakDaemon) ends() {
	d.awaitEnd("the last signal", soakPatience)
	d.now.awaitLog()
}

func (d *soakDaemon) signal(sig syscall.Signal) {
	if err := d.now.signal(sig); err != nil {
		d.s.fail(fmt.Sprintf("daemon %d ended by itself: %v", d.index, err))
	}
}

// write puts a text in the place of the file, by a rename.
func (d *soakDaemon) write(text string) {
	d.texts++
	text = fmt.Sprintf("# %d\n%s", d.texts, text)
	temporary := d.file + ".new"
	err := os.WriteFile(temporary, []byte(text), 0o600)
	if err == nil {
		err = os.Rename(temporary, d.file)
	}
	if err != nil {
		d.s.fail(err.Error())
	}
}
