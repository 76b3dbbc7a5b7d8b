package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// setsClock has TestTheClockIsSetDuringARestart set the clock of the machine, which is for a machine of its own.
const setsClock = "L4FWD_SETS_CLOCK"

// The calendar's clock is set by an hour while no process runs. Whatever was to last for some time lasts that long: a connection that
// does nothing, an address that an operator has ejected, a level of the log. Without leave to set it the parcel is rewritten as a clock
// would have it that was an hour off before.
func TestTheClockIsSetDuringARestart(t *testing.T) {
	for name, by := range map[string]time.Duration{"forth": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			s.text = "listeners: [{name: in, address: %q}]\n" +
				"upstreams: [{name: up, address: %[2]q, check: {interval: 100ms}}, {name: other, address: %[2]q}]\n" +
				"log: {access: all}\ntimeouts: {idle: 3s}\n"
			s.starts(t)
			for _, verb := range [][]string{{"log-level", "debug", "--for", "90m"}, {"address", "eject", "other", s.echo, "--for", "90m"}} {
				o := l4fwd(t, nil, append(verb, "--admin", s.admin)...)
				require.Equal(t, exitOK, o.code, o.stderr)
			}
			open := s.dial(t)
			exchange(t, open)
			last := time.Now() // its distance goes by the clock that is not set
			s.signal(t, syscall.SIGUSR1)
			s.exits(t, exitOK)
			if os.Getenv(setsClock) != "" {
				setClock(t, by)
				t.Cleanup(func() { setClock(t, -by) })
			} else {
				s.rewrite(t, -by)
			}
			s.starts(t)
			g := &generations{withFile: &withFile{s.process, s.file}}
			ejected := g.status(t).Proxy.Upstreams[1].Addresses[0]
			require.Equal(t, "ejected_by_operator", ejected.State)
			require.Regexp(t, `^for another 1h(29|30)m\d+s$`, ejected.Why)
			require.WithinDuration(t, time.Now().Add(90*time.Minute), ejected.Until, time.Minute)
			require.WithinDuration(t, time.Now().Add(90*time.Minute), s.level(t).Until, time.Minute)
			require.NoError(t, open.SetReadDeadline(last.Add(time.Minute)))
			_, err := open.Read(make([]byte, 1))
			require.Error(t, err)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it outlives its time")
			require.GreaterOrEqual(t, time.Since(last), 3*time.Second, "it is ended before its time")
			s.logs(t, `"reason":"idle_timeout"`)
		})
	}
}

// setClock sets the machine's clock.
func setClock(t *testing.T, by time.Duration) {
	t.Helper()
	tv := unix.NsecToTimeval(time.Now().Add(by).UnixNano())
	require.NoError(t, unix.Settimeofday(&tv))
}

var (
	savedUntil = regexp.MustCompile(`("until":)"([^"]*)"`)
	savedStamp = regexp.MustCompile(`("manual":)(\d+)`)
)

// rewrite packs what the last process has left anew, as if its clock had been ahead by so much.
func (s *store) rewrite(t *testing.T, by time.Duration) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	i := len(s.kept) - 1
	require.True(t, strings.HasPrefix(s.names[i], "l4fwd.store.restart."), s.names)
	from, err := handoff.OpenParcel(s.kept[i])
	require.NoError(t, err)
	defer from.Close()
	to, err := handoff.NewPacker()
	require.NoError(t, err)
	defer to.Close()
	state, err := from.Greet("")
	require.NoError(t, err)
	require.NotZero(t, state.Wall)
	state.Wall += int64(by)
	moved := 0
	for name, part := range state.Parts {
		part = savedStamp.ReplaceAllFunc(part, func(b []byte) []byte {
			moved++
			n, err := strconv.ParseInt(string(savedStamp.FindSubmatch(b)[2]), 10, 64)
			require.NoError(t, err)
			return fmt.Appendf(nil, `"manual":%d`, n+int64(by))
		})
		state.Parts[name] = savedUntil.ReplaceAllFunc(part, func(b []byte) []byte {
			moved++
			at, err := time.Parse(time.RFC3339Nano, string(savedUntil.FindSubmatch(b)[2]))
			require.NoError(t, err)
			return fmt.Appendf(nil, `"until":%q`, at.Add(by).Format(time.RFC3339Nano))
		})
	}
	require.Equal(t, 2, moved)
	require.NoError(t, to.Offer(state))
	for _, socket := range state.Sockets {
		require.NoError(t, syscall.Close(socket.FD))
	}
	var all []handoff.Conn
	final, err := from.Ready(func(conns []handoff.Conn) error {
		all = append(all, conns...)
		for j := range conns {
			require.NoError(t, to.Connection(&conns[j]))
		}
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, to.Finish(final))
	for j := range all {
		all[j].CloseFDs()
	}
	sealed, err := to.Seal()
	require.NoError(t, err)
	s.kept[i] = sealed.File
}
