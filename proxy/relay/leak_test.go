package relay

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails the run if a test leaves a goroutine, a socket or a pipe behind.
func TestMain(m *testing.M) {
	// The runtime opens its own poller with the first socket, and that stays.
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		ln.Close()
	}
	// A napping loop keeps a processor of the runtime (see napMillis); the peers of the tests need some, too.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), testLoops+2))
	before := openFDs()
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines left after the tests:", err)
			code = 1
		}
		if after := settledFDs(before); len(after) > len(before) {
			fmt.Fprintf(os.Stderr, "descriptors left after the tests: %d before, %d now:\n%s\n",
				len(before), len(after), strings.Join(after, "\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// openFDs lists the descriptors that a relay may leak: sockets, pipes and the kernel's anonymous ones. It is empty where
// there is no /proc.
func openFDs() (all []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err != nil {
			continue // the directory's own descriptor
		}
		for _, kind := range []string{"socket:", "pipe:", "anon_inode:"} {
			if strings.HasPrefix(to, kind) {
				all = append(all, e.Name()+" -> "+to)
			}
		}
	}
	return all
}

// settledFDs waits for descriptors that are being closed at this moment. The collector closes the pipes that the net
// package keeps for its own splicing, which the peers use.
func settledFDs(want []string) []string {
	now := openFDs()
	for end := time.Now().Add(5 * time.Second); len(now) > len(want) && time.Now().Before(end); now = openFDs() {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
	}
	return now
}
