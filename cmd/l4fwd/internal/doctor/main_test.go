package doctor_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// binary is the l4fwd that the tests run: flags, exit status and output are the real ones. public is a directory that every user may
// read.
var binary, public string

// closing are servers that linger over their connections while other tests run.
var closing sync.WaitGroup

// TestMain builds the binary. L4FWD_BINARY names another one.
func TestMain(m *testing.M) {
	os.Exit(withBinary(func() int {
		code := m.Run()
		closing.Wait()
		if err := goleak.Find(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		return code
	}))
}

// withBinary runs the tests with a binary in a directory that is removed afterwards.
func withBinary(run func() int) int {
	var err error
	if public, err = os.MkdirTemp("", "l4fwd-doctor-"); err == nil {
		defer os.RemoveAll(public)
		if err = os.Chmod(public, 0o755); err == nil {
			err = build()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return run()
}

// build makes the binary, which has the race detector if the test has.
func build() error {
	if binary = os.Getenv("L4FWD_BINARY"); binary != "" {
		return nil
	}
	binary = filepath.Join(public, "l4fwd")
	args := []string{"build", "-ldflags=-s -w", "-o", binary}
	if underRace {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/l4fwd/l4fwd/cmd/l4fwd")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
