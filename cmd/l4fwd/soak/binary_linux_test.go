package soak

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// l4fwdPath is the l4fwd under test: the one that L4FWD_BINARY names, else one built from this tree.
var l4fwdPath string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "l4fwd-soak")
	if err == nil {
		l4fwdPath, err = build(dir)
	}
	if err == nil {
		if code, ran := runIsolated(l4fwdPath); ran {
			_ = os.RemoveAll(dir)
			os.Exit(code)
		}
		err = enterNamespace()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// build returns the path of the binary, which has the race detector if the test has.
func build(dir string) (string, error) {
	if path := os.Getenv("L4FWD_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	path := filepath.Join(dir, "l4fwd")
	args := []string{"build", "-o", path}
	if underRace {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/l4fwd/l4fwd/cmd/l4fwd")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}
