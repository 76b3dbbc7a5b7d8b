package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// What dashboards, alerts and scripts read may gain names, and must lose none: metric families with their types and labels,
// keys of the status JSON, fields of log and access lines, exit statuses. testdata/surface holds what the first release
// that anyone relied on had. L4FWD_BINARY=/path/to/l4fwd runs the same scenario on another binary, and
// L4FWD_SURFACE=write writes what was found in place of the files.
func TestNamesThatOthersRelyOnStay(t *testing.T) {
	s := newSurface(t)
	s.talk(t)
	s.reloads(t)
	seen := map[string][]string{
		"metrics.txt": metricNames(s.get("/metrics")),
		"status.txt":  s.statusKeys(t),
	}
	s.drains(t)
	seen["status.txt"] = union(seen["status.txt"], s.keys)
	seen["log.txt"], seen["access.txt"] = logFields(t, s.log.String())
	for name, have := range seen {
		path := filepath.Join("testdata", "surface", name)
		if os.Getenv("L4FWD_SURFACE") == "write" {
			require.NoError(t, os.WriteFile(path, []byte(strings.Join(have, "\n")+"\n"), 0o644))
			continue
		}
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for want := range strings.Lines(string(text)) {
			if want = strings.TrimSpace(want); want != "" && !strings.HasPrefix(want, "#") {
				require.True(t, slices.ContainsFunc(have, func(h string) bool { return hasNames(h, want) }), "%s: others may rely on %q, which is gone from\n%s", path, want, strings.Join(have, "\n"))
			}
		}
	}
}

// hasNames reports whether one line of fields has all those of another. A metric or a key has to be the same.
func hasNames(have, want string) bool {
	if have == want {
		return true
	}
	fields := strings.Split(have, ",")
	missing := func(field string) bool { return !slices.Contains(fields, field) }
	return slices.Contains(fields, "msg") && !slices.ContainsFunc(strings.Split(want, ","), missing)
}

// surface is a daemon that shows all there is: an address in a simulated cloud, listeners with and without routes, upstreams
// that work and that do not, warm connections.
type surface struct {
	*withFile
	good  string
	plain string
	tls   string
	dead  string
	keys  []string // of the status while it drains
}

func newSurface(t *testing.T) *surface {
	t.Helper()
	r := newRegion(t, 2, sim.Hook{Name: "up", Transition: sim.Launching, Timeout: time.Minute}, sim.Hook{Name: "down", Transition: sim.Terminating, Timeout: time.Minute})
	m := r.machine(t)
	r.asg.Launch("aoai", m.Instance, m.metadata)
	s := &surface{plain: freePort(t), tls: freePort(t), dead: freePort(t)}
	s.good = fmt.Sprintf("listeners:\n- {name: plain, address: %q, upstream: up}\n- {name: tls, address: %q, routes: [{sni: [a.example], upstream: up}]}\n"+
		"- {name: dead, address: %q, upstream: dead}\n"+
		"upstreams:\n- {name: up, address: %q, warm: {connections: 1}, check: {interval: 100ms}}\n- {name: dead, address: %q, check: {type: none}, outlier: {failures: 1}}\nlog: {access: all}\nlimits: {max_connections: 1000}\n",
		s.plain, s.tls, s.dead, strings.Replace(echo(t), "127.0.0.1", "up.example", 1), freePort(t))
	s.withFile = startedWithFile(t, s.good, m.env, "--dns-server", nameserver(t, "127.0.0.1"))
	s.eventually(t, func() bool { return strings.Contains(s.get("/metrics"), `l4fwd_warm_connections{upstream="up"} `) })
	s.eventually(t, func() bool { return r.asg.State(m.Instance) == "InService" })
	return s
}

// talk makes connections that are served, refused, and have nowhere to go.
func (s *surface) talk(t *testing.T) {
	s.listen = s.plain
	c := s.dial(t)
	exchange(t, c)
	require.NoError(t, c.Close())
	s.listen = s.tls
	c = s.dial(t)
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\n\r\n")
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
	if c, err := net.Dial("tcp", s.dead); err == nil { // else the reset came before connect(2) returned
		_, _ = c.Read(make([]byte, 1))
		c.Close()
	}
	s.eventually(t, func() bool { return strings.Count(s.log.String(), `"msg":"access"`) >= 3 })
}

// reloads has one with a value that takes a restart, and one that fails.
func (s *surface) reloads(t *testing.T) {
	for _, step := range [][2]string{{"loops: 3\n", `"keys":[`}, {"nonsense: 1\n", `"faults":[`}} { // in this order: the failure keeps the keys
		s.writes(t, s.good+step[0])
		s.reload(t, step[1])
	}
}

// drains has the daemon end while a connection is open.
func (s *surface) drains(t *testing.T) {
	s.listen = s.plain
	c := s.dial(t)
	exchange(t, c)
	s.signal(t, syscall.SIGTERM)
	s.eventually(t, func() bool { s.keys = s.statusKeys(t); return slices.Contains(s.keys, "drain.until string") })
	require.NoError(t, c.Close())
	s.exits(t, exitOK)
}

// statusKeys are the paths of the status JSON, each with its type.
func (s *surface) statusKeys(t *testing.T) []string {
	var v any
	o := l4fwd(t, nil, "status", "--admin", s.admin, "--output", "json")
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &v), o.stderr)
	var keys []string
	pathsOf("", v, func(path string) { keys = append(keys, path) })
	return union(keys, nil)
}

// byName are the objects of the status whose keys are names of the configuration.
var byName = []string{"listener_sources", "proxy.listeners[].refused_by_reason", "proxy.listeners[].reasons"}

func pathsOf(at string, v any, emit func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, below := range v {
			switch {
			case slices.Contains(byName, at):
				key = at + ".*"
			case at != "":
				key = at + "." + key
			}
			pathsOf(key, below, emit)
		}
	case []any:
		emit(at + " list")
		for _, below := range v {
			pathsOf(at+"[]", below, emit)
		}
	default:
		emit(at + " " + strings.Replace(fmt.Sprintf("%T", v), "float64", "number", 1))
	}
}

var sampleLine = regexp.MustCompile(`^(l4fwd_\w+)(?:\{(.*)\})? `)

// metricNames are the families of a scrape with their types and labels.
func metricNames(text string) []string {
	var all []string
	family, kind := "", ""
	for line := range strings.Lines(text) {
		if what, ok := strings.CutPrefix(line, "# TYPE "); ok {
			family, kind, _ = strings.Cut(strings.TrimSpace(what), " ")
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var labels []string
		for _, l := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(m[2], -1) {
			labels = append(labels, l[1])
		}
		all = append(all, strings.TrimSpace(family+" "+kind+" "+m[1]+" "+strings.Join(labels, ",")))
	}
	return union(all, nil)
}

// logFields are the field names of each kind of log line, and of the access lines.
func logFields(t *testing.T, text string) (events, access []string) {
	for line := range strings.Lines(text) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields), line)
		msg := fields["msg"]
		var names []string
		for name := range fields {
			names = append(names, name)
		}
		slices.Sort(names)
		if msg == "access" {
			access = append(access, strings.Join(names, ","))
		} else {
			events = append(events, strings.Join(names, ","))
		}
	}
	return union(events, nil), union(access, nil)
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// Scripts and service managers act on these.
func TestExitStatusesStay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "faulty.yaml")
	require.NoError(t, os.WriteFile(file, []byte("nonsense: 1\n"), 0o600))
	none := freePort(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for line, want := range map[string]int{
		"check --upstream a.example:443": 0,
		"check --config " + file:         2,
		"check":                          2,
		"serve --config " + file:         2,
		"serve --nonsense":               2,
		"serve --upstream a.example:443 --health off --admin " + taken.Addr().String(): 1,
		"status --admin " + none: 3,
		"drain --admin " + none:  1,
		"doctor":                 2,
		"doctor --expect far":    2,
		"eip list":               2,
		"eip nonsense":           2,
		"import":                 2,
		"import haproxy":         2,
		"import haproxy " + none: 2,
		"bundle --nonsense":      2,
		"top":                    1,
		"bundle -o /dev/null":    1,
		"man":                    0,
		"completion bash":        0,
		"completion tcsh":        2,
		"version":                0,
		"nonsense":               2,
		"help check":             0,
		"docs metrics":           0,
	} {
		o := l4fwd(t, nil, strings.Fields(line)...)
		require.Equal(t, want, o.code, "l4fwd %s: %s", line, o.stderr)
	}
}

// otherBinary makes a command of the binary that L4FWD_BINARY names, if it names one.
func otherBinary(cmd *exec.Cmd) {
	if path := os.Getenv("L4FWD_BINARY"); path != "" {
		cmd.Path = path
	}
}
