package ports

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// Unix opens a socket in the file system that only the user of this process may connect to.
func Unix(path string) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The mode is right from the first moment: a socket that others may open for an instant is one they have opened.
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("cannot open the admin socket %s: %w; name another one with --admin unix:PATH", path, Cause(err))
	}
	return l, nil
}

// removeStale removes a socket that nobody listens on, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot open the admin socket %s: %w", path, Cause(err))
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("cannot open the admin socket %s: a file that is no socket is there; name another path with --admin unix:PATH", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("the admin socket %s is in use: another l4fwd runs; name another path with --admin unix:PATH", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot open the admin socket %s: %w", path, Cause(err))
	}
	return os.Remove(path)
}
