package systemd

import "golang.org/x/sys/unix"

// pidfsMagic is PIDFS_MAGIC of linux/magic.h: from Linux 6.9 on a pidfd has an inode of its own.
const pidfsMagic = 0x50494446

// pidfdID returns the number that stands for a process for as long as the machine runs, which its pid does not; 0 if the kernel has none.
func pidfdID(pid int) uint64 {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	var st unix.Stat_t
	if unix.Fstatfs(fd, &fs) != nil || int64(fs.Type) != pidfsMagic || unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}
