package hangup

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// asChild has the test binary send itself a SIGHUP, and then do what the value says.
const asChild = "TEST_HANGUP"

func TestMain(m *testing.M) {
	switch os.Getenv(asChild) {
	case "":
		os.Exit(m.Run())
	case "taken":
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
		<-Signals
	case "default":
		_ = syscall.Kill(os.Getpid(), syscall.SIGHUP)
		for len(Signals) == 0 {
			time.Sleep(time.Millisecond)
		}
		Default()
		time.Sleep(time.Minute) // the signal is on its way
	case "none":
		Default()
	}
}

func child(t *testing.T, what string) *os.ProcessState {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asChild+"="+what)
	_ = cmd.Run()
	return cmd.ProcessState
}

func TestTheSignalIsTakenUntilItHasItsDefaultBack(t *testing.T) {
	require.True(t, child(t, "taken").Success())
	require.True(t, child(t, "none").Success())
	ended := child(t, "default").Sys().(syscall.WaitStatus)
	require.True(t, ended.Signaled())
	require.Equal(t, syscall.SIGHUP, ended.Signal())
}

// Under nohup the signal is ignored, and stays so for verbs that are not serve.
func TestAnIgnoredSignalStaysIgnored(t *testing.T) {
	signal.Ignore(syscall.SIGHUP) // which a child inherits
	t.Cleanup(func() { signal.Reset(syscall.SIGHUP) })
	require.True(t, child(t, "taken").Success())
	require.True(t, child(t, "none").Success())
}
