package main

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// HAProxy and l4fwd run side by side, on each haproxy.cfg of testdata and on what is imported of it, each in a network of its own
// that has the servers of the file. Both get the same connections: each name and others beside it, from each network and from
// outside, with each kind of PROXY header and without one, while all servers run, while one is down, and when it is back. Each
// connection ends at the same server or is refused alike. What differs stands in the table of differences, and there is a remark
// of the importer for each.
//
// By default servers are stopped only where checks notice it within a second. L4FWD_DIFFERENTIAL=all does it for all files with checks,
// and takes some seconds more; the name of a file runs that one alone.
func TestImportDecidesAsHAProxy(t *testing.T) {
	if line := os.Getenv(sideVariable); line != "" {
		serveSide(t, line)
		return
	}
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("NOT RUN: the importer beside HAProxy: haproxy is not installed: apt-get install haproxy")
	}
	if err := trySpace(); err != nil {
		t.Skip("NOT RUN: the importer beside HAProxy: it needs root or user namespaces, and ip of iproute2: ", err)
	}
	files, err := filepath.Glob("internal/haproxy/testdata/*.cfg")
	require.NoError(t, err)
	var wg sync.WaitGroup
	slots := make(chan struct{}, 12)
	ran := map[string]*beside{}
	for _, file := range files {
		name := filepath.Base(file)
		if only := os.Getenv("L4FWD_DIFFERENTIAL"); only != "" && only != "all" && only != name {
			continue
		}
		if why, cannot := notRun[name]; cannot {
			t.Logf("not run: %s: %s", name, why)
			continue
		}
		b := newBeside(t, program, file)
		ran[name] = b
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			b.run()
		})
	}
	wg.Wait()
	require.NotEmpty(t, ran)
	require.True(t, len(ran) >= 25 || os.Getenv("L4FWD_DIFFERENTIAL") != "")
	for name, b := range ran {
		t.Run(name, b.report)
	}
}

// notRun are files that HAProxy itself refuses on this machine.
var notRun = map[string]string{
	"unknown.cfg":         "HAProxy refuses unknown directives",
	"tls-termination.cfg": "HAProxy needs the certificate",
}

// beside is the run of one file.
type beside struct {
	name     string
	text     string
	paths    [2]string // the haproxy.cfg and the configuration of l4fwd
	program  string
	imported outcome
	sides    [2]side // HAProxy's and l4fwd's
	mu       sync.Mutex
	served   map[string]Attempt // by listener
	used     map[int]bool       // differences that were seen
	attempts int
	took     time.Duration
	faults   []string
}

var forMachine = regexp.MustCompile(`(?m)^\s*(chroot|user|group|daemon|stats socket|pidfile|cpu-map|log /dev/log)\b.*$`)

// newBeside imports a file, without what depends on the machine: users, paths, limits beyond those of the process.
func newBeside(t *testing.T, program, file string) *beside {
	raw, err := os.ReadFile(file)
	require.NoError(t, err)
	dir, err := filepath.Abs("internal/haproxy/testdata")
	require.NoError(t, err)
	text := forMachine.ReplaceAllString(absolute(string(raw), dir), "")
	text = regexp.MustCompile(`(?m)^(\s*maxconn) [1-9]\d{3,}$`).ReplaceAllString(text, "$1 2000")
	b := &beside{name: filepath.Base(file), text: text, program: program, used: map[int]bool{}, served: map[string]Attempt{}}
	b.paths[0] = filepath.Join(t.TempDir(), b.name)
	require.NoError(t, os.WriteFile(b.paths[0], []byte(text), 0o600))
	b.imported = l4fwd(t, nil, "import", "haproxy", b.paths[0])
	require.Contains(t, []int{exitOK, exitFailure}, b.imported.code, b.imported.stderr)
	b.paths[1] = write(t, b.imported.stdout)
	return b
}

// run compares both sides.
func (b *beside) run() {
	began := time.Now()
	defer func() { b.took = time.Since(began) }()
	defer func() { b.sides[0].end(); b.sides[1].end() }()
	if err := b.sides[0].start(b.paths[0], b.program, "-db", "-f", b.paths[0]); err != nil {
		b.fault("%s", err)
		return
	}
	if err := b.sides[1].start(b.paths[0], "l4fwd", "serve", "--config", b.paths[1]); err != nil {
		b.fault("%s", err)
		return
	}
	all := b.addresses()
	if len(all) == 0 || !b.await(all) {
		b.fault("nobody listens on %q", all)
		return
	}
	var attempts []Attempt
	for _, to := range all {
		attempts = append(attempts, attemptsFor(to, b.text)...)
	}
	b.attempts = len(attempts)
	b.compareAll("", attempts)
	b.outages()
	for i, d := range differences[b.name] {
		if !b.used[i] && !d.sometimes {
			b.fault("the table lists a difference that was not seen: %+v", d)
		}
	}
}

var quickCheck = regexp.MustCompile(`inter \d+ms`)

// outages stops one server after the other, and compares while it is down and when it is back: for one name and address of a client
// to each listener that was served at first.
func (b *beside) outages() {
	if !strings.Contains(b.text, " check") || !quickCheck.MatchString(b.text) && os.Getenv("L4FWD_DIFFERENTIAL") == "" {
		return
	}
	for _, address := range originsOf(b.text) {
		for _, verb := range []string{"Stop", "Start"} {
			for i := range b.sides {
				if err := b.sides[i].client.Call("Side."+verb, address, new(bool)); err != nil {
					b.fault("%s", err)
				}
			}
			b.compareAll(verb+" "+address+": ", slices.Collect(maps.Values(b.served)))
		}
	}
}

var listening = regexp.MustCompile(`(?m)^ +address: '?"?(.*?)'?"?\n +(?:upstream|routes|accept_proxy|allow_sources):`)

// addresses are those to connect to: the listeners of the result.
func (b *beside) addresses() []string {
	var all []string
	for _, m := range listening.FindAllStringSubmatch(b.imported.stdout, -1) {
		host, port, err := net.SplitHostPort(m[1])
		switch {
		case err != nil:
			b.fault("%s", err)
		case host == "":
			all = append(all, "[::1]:"+port, "127.0.0.1:"+port)
		case host == "0.0.0.0":
			all = append(all, "127.0.0.1:"+port)
		default:
			all = append(all, m[1])
		}
	}
	return all
}

// await waits until both sides accept connections on all addresses.
func (b *beside) await(all []string) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		open := [2]bool{}
		for i := range b.sides {
			if err := b.sides[i].client.Call("Side.Open", all, &open[i]); err != nil {
				return false
			}
		}
		if open[0] && open[1] {
			return true
		}
	}
	return false
}

// limit is how long a difference lasts before it counts: checks may not have found a dead server yet.
const limit = 60 * time.Second

// compareAll makes all attempts on both sides, many at a time.
func (b *beside) compareAll(when string, attempts []Attempt) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, a := range attempts {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			b.compare(when, a)
		})
	}
	wg.Wait()
}

// compare makes one attempt on both sides until it ends alike, or as the table of differences says.
func (b *beside) compare(when string, a Attempt) {
	var ends [2][]string
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		for i := range b.sides {
			ends[i] = nil
			if err := b.sides[i].client.Call("Side.Try", a, &ends[i]); err != nil {
				b.fault("%s: %s", a, err)
				return
			}
		}
		if slices.Equal(ends[0], ends[1]) || b.expected(a, ends) {
			b.note(a, ends[1])
			return
		}
		if time.Now().After(end) {
			b.fault("%s%s: HAProxy %q, l4fwd %q", when, a, ends[0], ends[1])
			return
		}
	}
}

// expected reports whether the table has the difference, and the importer a remark on it.
func (b *beside) expected(a Attempt, ends [2][]string) bool {
	for i, d := range differences[b.name] {
		if d.covers(a, strings.Join(ends[0], " | "), strings.Join(ends[1], " | ")) && strings.Contains(b.imported.stderr, d.remark) {
			b.mu.Lock()
			b.used[i] = true
			b.mu.Unlock()
			return true
		}
	}
	return false
}

// note keeps one attempt to each listener that is served, for the outages.
func (b *beside) note(a Attempt, ours []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(ours, "refused") && a.Name != "-" {
		b.served[a.To] = a
	}
}

func (b *beside) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) < 20 {
		b.faults = append(b.faults, fmt.Sprintf(format, args...))
	}
}

// report is the test of a file, after its run.
func (b *beside) report(t *testing.T) {
	t.Logf("%d kinds of connections in %s", b.attempts, b.took.Round(time.Millisecond))
	for _, f := range b.faults {
		t.Error(f)
	}
	if t.Failed() {
		t.Logf("the importer said:\n%s\n%s", b.imported.stderr, b.imported.stdout)
		for i := range b.sides {
			t.Logf("%s:\n%s", []string{"HAProxy", "l4fwd"}[i], b.sides[i].log.String())
		}
	}
}
