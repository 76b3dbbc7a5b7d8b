package soak

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// soakBounds are how much more a daemon may have after its half of the soak than after warming up. Goroutines and
// descriptors, but for pipes, may not be more at all; of pipes a loop keeps up to 8 (proxy/relay, pipeKeep), two descriptors
// each. Live heap and resident set are what a garbage collection leaves; that set may also be larger by what the heap grew
// to meanwhile and was not given back.
var soakBounds = struct{ pipes, heapMiB, rssMiB int }{pipes: 2 * 8 * 2, heapMiB: 4, rssMiB: 40}

// soakMeasure is what a daemon has.
type soakMeasure struct{ goroutines, fds, pipes, heap, rss int }

func (m soakMeasure) String() string {
	return fmt.Sprintf("%d goroutines, %d fds and %d of pipes, heap %.1f MiB, RSS %.1f MiB",
		m.goroutines, m.fds, m.pipes, float64(m.heap)/(1<<20), float64(m.rss)/(1<<20))
}

func (d *soakDaemon) measured() (m soakMeasure) {
	for range 2 { // the second frees what the first one's finalizers let go
		_, profile := d.get(d.admin, "/debug/pprof/heap?gc=1&debug=1", soakPatience)
		m.heap = heapAlloc(profile)
	}
	_, body := d.get(d.health, "/metrics", soakPatience)
	m.goroutines = int(metricSum(body, "go_goroutines"))
	m.pipes = int(metricSum(body, "l4fwd_fds", `kind="pipes"`))
	dir := fmt.Sprintf("/proc/%d", d.now.pid())
	all, err := os.ReadDir(dir + "/fd")
	if err != nil {
		d.s.fail(err.Error())
	}
	m.fds = len(all) - m.pipes
	status, _ := os.ReadFile(dir + "/status")
	if rss := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status); rss != nil {
		kib, _ := strconv.Atoi(string(rss[1]))
		m.rss = kib << 10
	}
	return m
}

// heapAlloc is what was allocated behind the collection and before the profile was written. The metric is read later, and has in it what
// writing the profile left: the more, the more places that allocate have been sampled, so it grows for as long as the process lives.
func heapAlloc(profile string) int {
	_, rest, _ := strings.Cut(profile, "\n# HeapAlloc = ")
	n, _ := strconv.Atoi(rest[:max(strings.IndexByte(rest, '\n'), 0)])
	return n
}

func (m soakMeasure) within(before soakMeasure) bool {
	return m.goroutines <= before.goroutines && m.fds <= before.fds && m.pipes <= max(before.pipes, soakBounds.pipes) &&
		m.heap <= before.heap+soakBounds.heapMiB<<20 && m.rss <= before.rss+soakBounds.rssMiB<<20
}

// compare waits until a daemon has no more than before: checks and lookups under way hold descriptors for a moment.
func (s *soak) compare(d *soakDaemon, before soakMeasure) {
	var after soakMeasure
	ok := false
	for end := time.Now().Add(soakPatience / 2); !ok && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		after = d.measured()
		ok = after.goroutines > 0 && after.heap > 0 && after.within(before)
	}
	text := fmt.Sprintf("daemon %d (%s): before %v; after %v", d.index, d.engine, before, after)
	s.measures = append(s.measures, text)
	if !ok {
		s.fail("more than before: " + text)
	}
}

// awaitRest waits until no connection is there and each address is in use, and checks that the counters agree.
func (d *soakDaemon) awaitRest() {
	var body string
	d.await("no connection active, each address in use", func() bool {
		_, body = d.get(d.health, "/metrics", soakPatience)
		in := metricSum(body, "l4fwd_upstream_addresses", `state="usable"`) + metricSum(body, "l4fwd_upstream_addresses", `state="failing"`)
		return body != "" && metricSum(body, "l4fwd_connections_active") == 0 && in == float64(8*len(d.s.world.ups)) &&
			metricSum(body, "l4fwd_upstream_addresses") == in && metricSum(body, "l4fwd_warm_connections") == 4
	})
	for _, result := range []string{"hit", "miss", "stale"} {
		used := int(metricSum(body, "l4fwd_warm_used_total", `result="`+result+`"`))
		d.s.count.sum("warm connections, but for drained instances: "+result, used-d.warm[result])
		d.warm[result] = used
	}
	accepted := metricSum(body, "l4fwd_accepted_total")
	ended, refused := metricSum(body, "l4fwd_connections_total"), metricSum(body, "l4fwd_refused_total")
	if accepted != ended+refused {
		d.s.fail(fmt.Sprintf("daemon %d (%s): %v accepted, %v ended, %v refused", d.index, d.engine, accepted, ended, refused))
	}
	if n := metricSum(body, "l4fwd_log_dropped_total"); n > 0 {
		d.s.fail(fmt.Sprintf("daemon %d: %v log lines dropped", d.index, n))
	}
}

// metricSum is the sum of a metric's values, of those with the labels.
func metricSum(body, name string, labels ...string) (sum float64) {
	for line := range strings.Lines(body) {
		rest, found := strings.CutPrefix(line, name)
		if !found || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		set, value, _ := strings.Cut(strings.TrimSpace(rest), " ")
		if rest[0] == ' ' {
			set, value = "", set
		}
		if slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(set, l) }) {
			continue
		}
		v, _ := strconv.ParseFloat(value, 64)
		sum += v
	}
	return sum
}

// soakCounts counts what happened.
type soakCounts struct {
	mu sync.Mutex
	of map[string]int
}

func (c *soakCounts) add(what string) { c.sum(what, 1) }

func (c *soakCounts) sum(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[what] += n
}

// most keeps the largest n.
func (c *soakCounts) most(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[what] = max(c.of[what], n)
}

func (c *soakCounts) get(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[what]
}

// summary tells what the run was.
func (s *soak) summary(seconds int) string {
	s.count.sum("failures that nothing allows", len(s.failures))
	var names []string
	for name := range s.count.of {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	fmt.Fprintf(&b, "soak of %d s, took %v, seed %d\n", seconds, time.Since(s.begun).Round(time.Second), s.seed)
	for _, name := range names {
		fmt.Fprintf(&b, "  %-52s %d\n", name, s.count.of[name])
	}
	for _, m := range s.measures {
		fmt.Fprintf(&b, "  %s\n", m)
	}
	return b.String()
}
