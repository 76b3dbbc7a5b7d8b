package relay

import (
	"bytes"
	"os"
	"path"
	"strconv"
	"strings"
)

// DefaultBuffered is the limit that Tuning.Buffered stands for if it is 0: half of what TCP may use on this host before it
// comes under pressure (net.ipv4.tcp_mem, tcp(7)), but a quarter of the memory of the process's cgroup at most, to which
// the kernel charges it. Without either there is no limit, and it is negative.
func DefaultBuffered() int64 {
	limit := int64(-1)
	if b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_mem"); err == nil {
		if f := strings.Fields(string(b)); len(f) == 3 {
			if pages, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				limit = pages * int64(os.Getpagesize()) / 2
			}
		}
	}
	if n := cgroupMemory("/sys/fs/cgroup", "/proc/self/cgroup"); n > 0 && (limit < 0 || n/4 < limit) {
		limit = n / 4
	}
	return limit
}

// cgroupMemory returns the least memory limit of the process's cgroup and those above it (version 2), in bytes; 0: none.
func cgroupMemory(root, self string) (least int64) {
	b, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	_, in, ok := strings.Cut("\n"+string(b), "\n0::")
	if !ok {
		return 0
	}
	in, _, _ = strings.Cut(in, "\n")
	for dir := path.Clean("/" + in); ; dir = path.Dir(dir) {
		b, _ := os.ReadFile(path.Join(root, dir, "memory.max"))
		if n, err := strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64); err == nil && (least == 0 || n < least) {
			least = n
		}
		if dir == "/" {
			return least
		}
	}
}
