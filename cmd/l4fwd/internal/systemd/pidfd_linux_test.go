package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// systemd 257 and newer take the process for the one that is meant only if its number fits, too.
func TestTheNewMainProcessIsNamedByItsPidfd(t *testing.T) {
	own := pidfdID(os.Getpid())
	if own == 0 {
		t.Skip("this kernel has no numbers of pidfds")
	}
	require.Equal(t, own, pidfdID(os.Getpid()))
	other := exec.Command("sleep", "60")
	require.NoError(t, other.Start())
	defer func() {
		_ = other.Process.Kill()
		_ = other.Wait()
	}()
	require.NotEqual(t, own, pidfdID(other.Process.Pid))

	receive := manager(t)
	n := NewNotifier(zap.NewNop())
	n.TookOver()
	require.Equal(t, fmt.Sprintf("MAINPID=%d\nMAINPIDFDID=%d\nREADY=1", os.Getpid(), own), receive())
	n.HandedOver(1 << 30) // there is none
	require.Equal(t, fmt.Sprintf("MAINPID=%d\nREADY=1", 1<<30), receive())
}
