package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// prepare makes what programs expect of a system: /proc and its like, a network of loopback only, names, limits.
func prepare() error {
	for _, m := range []struct{ kind, at string }{
		{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/tmp"}, {"tmpfs", "/run"}, {"cgroup2", "/sys/fs/cgroup"},
	} {
		_ = os.MkdirAll(m.at, 0o755)
		// The kernel may have mounted devtmpfs itself (CONFIG_DEVTMPFS_MOUNT does not for an initramfs, but costs nothing to allow).
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil && err != unix.EBUSY {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := loopback(); err != nil {
		return fmt.Errorf("bring up lo: %w", err)
	}
	for name, text := range map[string]string{
		"/etc/hosts":         "127.0.0.1 localhost\n::1 localhost\n",
		"/etc/resolv.conf":   "nameserver 127.0.0.1\n",
		"/etc/nsswitch.conf": "hosts: files dns\n",
		"/etc/passwd":        "root:x:0:0:root:/tmp:/bin/false\n",
		"/etc/group":         "root:x:0:\n",
	} {
		if err := write(name, text); err != nil {
			return err
		}
	}
	_ = unix.Sethostname([]byte("guest"))
	files := unix.Rlimit{Cur: 1024, Max: 524288} // what systemd gives a service
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &files)
}

func write(name, text string) error {
	_ = os.MkdirAll("/etc", 0o755)
	return os.WriteFile(name, []byte(text), 0o644)
}

func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
