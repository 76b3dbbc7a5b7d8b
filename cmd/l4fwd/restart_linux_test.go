package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
)

// store is a service manager that keeps descriptors, and starts the daemon with those that it has.
type store struct {
	path string
	echo string
	*process
	file string // of the configuration
	text string // of the file, with places for the listener's address and the server's

	mu    sync.Mutex
	names []string
	kept  []*os.File
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{path: filepath.Join(t.TempDir(), "notify"), echo: echo(t)} // the server ends last: it waits for its connections
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"})
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s.receive(c) {
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
		for _, f := range s.kept {
			f.Close()
		}
	})
	return s
}

// receive reads one notification: see sd_notify(3).
func (s *store) receive(c *net.UnixConn) bool {
	b, oob := make([]byte, 4096), make([]byte, 4096)
	n, on, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, name, _ := strings.Cut(string(b[:n]), "FDNAME=")
	if on > 0 {
		all, _ := syscall.ParseSocketControlMessage(oob[:on])
		fds, _ := syscall.ParseUnixRights(&all[0])
		f := os.NewFile(uintptr(fds[0]), name)
		if strings.HasPrefix(string(b), "FDSTORE=1\n") {
			s.names, s.kept = append(s.names, name), append(s.kept, f)
		} else {
			f.Close() // a barrier
		}
		return true
	}
	for i := range s.names {
		if s.names[i] == name && strings.HasPrefix(string(b), "FDSTOREREMOVE=1\n") {
			s.kept[i].Close()
			s.names, s.kept = append(s.names[:i:i], s.names[i+1:]...), append(s.kept[:i:i], s.kept[i+1:]...)
			break
		}
	}
	return true
}

// has returns the names of what is kept, without numbers.
func (s *store) has() (kinds string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.names {
		kind, _, _ := strings.Cut(strings.TrimPrefix(n, "l4fwd.store."), ".")
		kinds += kind + " "
	}
	return strings.TrimSpace(kinds)
}

// starts starts the daemon as systemd does, with what is kept, and waits until it is ready.
func (s *store) starts(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	env := []string{"NOTIFY_SOCKET=" + s.path, "L4FWD_DRAIN_LAME_DUCK=100ms", fmt.Sprintf("LISTEN_FDS=%d", len(s.kept)), "LISTEN_FDNAMES=" + strings.Join(s.names, ":")}
	var files []*os.File // of the process's own: those that are kept are closed when it says so
	for _, f := range s.kept {
		fd, err := syscall.Dup(int(f.Fd()))
		require.NoError(t, err)
		files = append(files, os.NewFile(uintptr(fd), f.Name()))
	}
	s.mu.Unlock()
	if s.process == nil {
		s.process = &process{listen: freePort(t), health: freePort(t), admin: freePort(t)}
		s.file = write(t, fmt.Sprintf(cmp.Or(s.text, "listeners: [{name: in, address: %q}]\nupstreams: [{name: up, address: %[2]q, check: {interval: 100ms}}]\nlog: {access: all}\n"), s.listen, s.echo))
	}
	s.process = &process{listen: s.listen, health: s.health, admin: s.admin, log: &lockedBuffer{}, ended: make(chan struct{})}
	s.cmd = command(t, env, "serve", "--config", s.file, "--health", s.health, "--admin", s.admin)
	s.cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", s.cmd.Path}, s.cmd.Args[1:]...)
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	s.cmd.Path, s.cmd.ExtraFiles = shell, files
	s.start(t)
	for _, f := range files {
		require.NoError(t, f.Close())
	}
	s.eventually(t, func() bool { return s.get("/readyz") == "200 ok\n" })
	s.eventually(t, func() bool { return s.has() == "sockets" })
}

// level is the level of the log.
func (s *store) level(t *testing.T) (l admin.LogLevel) {
	t.Helper()
	require.NoError(t, admin.NewClient("log-level", "tcp", s.admin).Call(http.MethodGet, "/api/v1/log-level", &l))
	return l
}

// A restart keeps the listening sockets and the connections, with their counts and ids; nobody is refused in between.
func TestARestartCarriesTheConnectionsAcross(t *testing.T) {
	s := newStore(t)
	s.starts(t)
	open := s.dial(t)
	exchange(t, open)
	for range 2 {
		s.signal(t, syscall.SIGUSR1)
		s.exits(t, exitOK)
		require.Equal(t, "sockets restart", s.has())
		_, err := open.Write([]byte("hel")) // on the way while no process runs
		require.NoError(t, err)
		waiting := s.dial(t) // in the queue
		s.starts(t)
		exchange(t, waiting)
		_, err = open.Write([]byte("lo"))
		require.NoError(t, err)
		got := make([]byte, 5)
		_, err = io.ReadFull(open, got)
		require.NoError(t, err)
		exchange(t, open)
		require.NoError(t, waiting.Close())
	}
	s.eventually(t, func() bool { // the last one closed is seen soon
		return strings.Contains(s.get("/metrics"), `l4fwd_connections_active{listener="in",upstream="up"} 1`)
	})
	metrics := s.get("/metrics")
	require.Contains(t, metrics, `l4fwd_accepted_total{listener="in"} 3`, "the counters go on")
	require.Contains(t, metrics, `l4fwd_handovers_total{result="taken"} 2`)
	require.NoError(t, open.Close())
	s.logs(t, `"id":1,`)
	s.signal(t, syscall.SIGTERM)
	s.exits(t, exitOK)
	require.Empty(t, s.has(), "a drain leaves nothing: clients are refused")
}

// A process that is killed leaves its listening sockets to the next one, with the clients in their queues.
func TestACrashKeepsTheListeningSockets(t *testing.T) {
	s := newStore(t)
	s.starts(t)
	exchange(t, s.dial(t))
	for range 2 {
		s.signal(t, syscall.SIGKILL)
		<-s.ended
		waiting := s.dial(t)
		s.starts(t)
		exchange(t, waiting)
		s.logs(t, "took over the listening sockets of a process that died")
	}
}

// What could not be taken over again is drained instead, and the address is free then.
func TestARestartThatCannotSucceedDrains(t *testing.T) {
	s := newStore(t)
	s.starts(t)
	exchange(t, s.dial(t))
	text, err := os.ReadFile(s.file)
	require.NoError(t, err)
	for faulty, why := range map[string]string{
		string(text) + "limits: {per_source: many}\n":                                       "the configuration on disk is faulty",
		strings.Replace(string(text), s.listen, s.listen[strings.Index(s.listen, ":"):], 1): "the same port: stop l4fwd, and start it",
	} {
		require.NoError(t, os.WriteFile(s.file, []byte(faulty), 0o600))
		s.signal(t, syscall.SIGUSR1)
		s.logs(t, why)
		s.signal(t, syscall.SIGTERM) // cuts the drain short
		s.exits(t, exitOK)
		require.Empty(t, s.has())
		require.NoError(t, os.WriteFile(s.file, text, 0o600))
		s.starts(t)
	}

	none := started(t, nil)
	none.signal(t, syscall.SIGUSR1)
	none.exits(t, exitOK)
	require.Contains(t, none.log.String(), "a restart that drains")
}

// An upgrade goes on with the store: the sockets of the new process are in it, and those of the old one are not.
func TestAfterAnUpgradeARestartCarriesTheConnectionsAcross(t *testing.T) {
	s := newStore(t)
	s.starts(t)
	open := s.dial(t)
	exchange(t, open)
	s.mu.Lock()
	before := s.names[0]
	s.mu.Unlock()
	o := l4fwd(t, nil, "log-level", "debug", "--admin", s.admin)
	require.Equal(t, exitOK, o.code, o.stderr)
	goesOn := func() {
		t.Helper()
		api := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		r, err := api.Get("http://" + s.admin + "/api/v1/events")
		require.NoError(t, err)
		defer r.Body.Close()
		var list admin.EventList
		require.NoError(t, json.NewDecoder(r.Body).Decode(&list))
		starts := 0
		for i, e := range list.Events {
			require.EqualValues(t, i+1, e.Number)
			if e.Kind == "start" {
				starts++
			}
		}
		require.Greater(t, starts, 1, "events of the process before are there")
		require.Equal(t, "debug", s.level(t).Level)
	}
	o = l4fwd(t, nil, "upgrade", "--admin", s.admin)
	require.Equal(t, exitOK, o.code, o.stderr)
	ends(t, s.cmd.Process.Pid)
	s.eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.names) == 1 && s.names[0] != before })
	g := &generations{withFile: &withFile{s.process, s.file}}
	goesOn()
	pid := g.status(t).PID
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) }) // it has ended, unless the test fails
	require.NoError(t, syscall.Kill(pid, syscall.SIGUSR1))
	ends(t, pid)
	require.Equal(t, "sockets restart", s.has())
	s.starts(t)
	exchange(t, open)
	goesOn()
}
