package upgrade

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// asChild has the test binary end as a new process does that cannot serve.
const asChild = "TEST_UPGRADE_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	s, err := Inherit()
	if err != nil || os.Getenv(Variable) != "" {
		os.Exit(3)
	}
	s.Refuse(errors.New("it does not feel like it"))
	os.Exit(1)
}

// settled is a daemon of which nothing is ever asked.
type settled struct{ Daemon }

func (settled) Settle(context.Context) (*handoff.State, func(), error) {
	panic("it was refused before")
}

// heard is what a service manager was told.
type heard []string

func (h *heard) Reloading() { *h = append(*h, "reloading") }
func (h *heard) Ready()     { *h = append(*h, "ready") }

func TestARefusalIsTheOutcome(t *testing.T) {
	t.Setenv(asChild, "1")
	var manager heard
	u := New(Options{Daemon: settled{}, Manager: &manager, Logger: zap.NewNop()}, Counts{Taken: 4, Failed: 1})
	if impossible() != nil {
		t.Skip(impossible())
	}
	out, err := u.Upgrade("a test")
	require.NoError(t, err)
	require.Equal(t, Outcome{Cause: "it does not feel like it"}, out)
	require.Equal(t, heard{"reloading", "ready"}, manager)
	require.Equal(t, Counts{Taken: 4, Failed: 2}, u.Counts())

	require.Zero(t, u.Close())
	_, err = u.Upgrade("a test")
	require.ErrorIs(t, err, errEnding)
	require.Equal(t, Counts{Taken: 4, Failed: 2, Refused: 1}, u.Counts())
}

// A daemon whose upgrades fail one after the other runs out of nothing.
func TestAFailedUpgradeLeavesNothingOpen(t *testing.T) {
	if impossible() != nil {
		t.Skip(impossible())
	}
	t.Setenv(asChild, "1")
	u := New(Options{Daemon: settled{}, Manager: &heard{}, Logger: zap.NewNop()}, Counts{})
	open := func() int {
		_, err := u.Upgrade("a test")
		require.NoError(t, err)
		all, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(all)
	}
	first := open()
	require.Equal(t, first, open())
	require.Equal(t, Counts{Failed: 2}, u.Counts())
}

// Whoever asks an old process that has not ended yet hears who serves.
func TestAnOldProcessSaysWhoServes(t *testing.T) {
	u := New(Options{Logger: zap.NewNop()}, Counts{})
	require.Zero(t, u.Successor())
	u.pid.Store(4321)
	require.Equal(t, 4321, u.Close())
	_, err := u.Upgrade("a test")
	const says = "this process has handed over to pid 4321, which serves now: ask again"
	if impossible() == nil {
		require.EqualError(t, err, says)
	}
	require.EqualError(t, u.Leave("a test", nil), says)
}

func TestThereIsOneUpgradeAtATime(t *testing.T) {
	u := New(Options{Logger: zap.NewNop()}, Counts{})
	u.mu.Lock()
	_, err := u.Upgrade("a test")
	require.ErrorIs(t, err, ErrBusy)
	u.mu.Unlock()
}

// A version in a directory of its own, which a link leads to, is the usual way to install beside a package manager.
func TestTheLinkIsFollowedAnew(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	link := filepath.Join(t.TempDir(), "l4fwd")
	require.NoError(t, os.Symlink(self, link))
	require.Equal(t, link, startedAs(link))
	t.Chdir(filepath.Dir(link))
	require.Equal(t, link, startedAs("./l4fwd"))
	t.Setenv("PATH", filepath.Dir(link))
	require.Equal(t, link, startedAs("l4fwd"))
	require.Equal(t, self, startedAs("another-name"), "such as argv[0] of a shell's exec -a")
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink("/bin/sh", link))
	require.Equal(t, self, startedAs(link))
}

func TestWhatCannotBeStartedIsExplained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l4fwd")
	require.EqualError(t, executable(path), "there is no binary at "+path+": put the new one there")
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	require.ErrorContains(t, executable(path), "is not executable (-rw-r--r--")
	require.ErrorContains(t, executable(path), "chmod 755")
	require.NoError(t, os.Chmod(path, 0o755))
	require.NoError(t, executable(path))
	require.EqualError(t, executable(filepath.Dir(path)), filepath.Dir(path)+" is a directory: put the new binary there")
}

// A binary for another processor is the likeliest mistake: the system says "exec format error".
func TestABinaryForAnotherMachineIsExplained(t *testing.T) {
	path := filepath.Join(t.TempDir(), "l4fwd")
	require.NoError(t, os.WriteFile(path, []byte("\x7fELF of another machine"), 0o755))
	err := notStarted(path, exec.Command(path).Start())
	require.EqualError(t, err, "start "+path+": it is no program for this machine: put the binary for "+runtime.GOOS+"/"+runtime.GOARCH+" there")
}

// A file that is no l4fwd says nothing until the time is over.
func TestAProcessThatDoesNotAnswerIsExplained(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	require.NoError(t, cmd.Start())
	c := &child{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		_ = cmd.Wait() // killed
	}()
	err := c.failed(fmt.Errorf("wait for hello: %w", os.ErrDeadlineExceeded))
	require.ErrorContains(t, err, "was ended: wait for hello: i/o timeout; it did not answer in time: is the file at "+program+" l4fwd?")
}

func TestTheEnvironmentPassesWithoutWhatIsThisProcesssOwn(t *testing.T) {
	all := []string{"A=1", "LISTEN_FDS=2", "WATCHDOG_USEC=3", "WATCHDOG_PID=4", "LISTEN_PID=5", Variable + "=6", "NOTIFY_SOCKET=7", "LISTEN_FDNAMES=8"}
	require.Equal(t, []string{"A=1", "WATCHDOG_USEC=3", "NOTIFY_SOCKET=7"}, environment(all))
}

func TestAVariableThatNobodySetForUsIsRefused(t *testing.T) {
	s, err := Inherit()
	require.NoError(t, err)
	require.Nil(t, s)
	for _, value := range []string{"", "x", "1", "-3"} {
		t.Setenv(Variable, value)
		_, err := Inherit()
		require.ErrorContains(t, err, "nobody else does; remove it")
	}
	// A nil Successor is a process that was started in the usual way.
	require.NoError(t, s.Greet("", nil))
	require.NoError(t, s.TakeOver(nil))
	require.Nil(t, s.Part("x"))
	s.Refuse(errEnding)
	s.Close()
}
