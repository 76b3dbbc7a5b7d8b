package upgrade

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// containerInits end their container with the process that they started.
var containerInits = []string{"tini", "docker-init", "dumb-init", "catatonit"}

// impossible explains why this process cannot be replaced by another one; nil if it can.
func impossible() error {
	if runtime.GOOS != "linux" {
		return errors.New("upgrades need Linux")
	}
	if os.Getpid() == 1 {
		return errors.New("l4fwd is process 1 of a container, which ends with it: replace the container; SIGTERM drains it")
	}
	if os.Getppid() != 1 {
		return nil
	}
	name, err := os.ReadFile("/proc/1/comm")
	if init := strings.TrimSpace(string(name)); err == nil && slices.Contains(containerInits, init) {
		return fmt.Errorf("l4fwd is the only process of a container, which %s ends with it: replace the container; SIGTERM drains it", init)
	}
	return nil
}
