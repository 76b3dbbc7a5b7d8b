package upgrade

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// program is the path of the binary as this process was started with it: a symbolic link in it may lead to another version by
// now. It is found out at the start, while the working directory is the one of the command line.
var program = startedAs(os.Args[0])

// startedAs returns the absolute path that name stands for, if it leads to the binary that runs, and else the path of that.
func startedAs(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	path := name
	if !strings.ContainsRune(name, filepath.Separator) {
		if path, err = exec.LookPath(name); err != nil {
			return self
		}
	}
	if path, err = filepath.Abs(path); err != nil {
		return self
	}
	if real, err := filepath.EvalSymlinks(path); err != nil || !sameFile(real, self) {
		return self
	}
	return path
}

// sameFile reports whether two paths lead to one file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// executable explains why a path cannot be started.
func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("there is no binary at %s: put the new one there", path)
	case info.IsDir():
		return fmt.Errorf("%s is a directory: put the new binary there", path)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is not executable (%s): chmod 755 it", path, fs.FormatFileInfo(info))
	}
	return nil
}

// notStarted explains why the system does not start a binary.
func notStarted(path string, err error) error {
	if errors.Is(err, syscall.ENOEXEC) {
		return fmt.Errorf("start %s: it is no program for this machine: put the binary for %s/%s there", path, runtime.GOOS, runtime.GOARCH)
	}
	return fmt.Errorf("start %s: %w", path, plain(err))
}
