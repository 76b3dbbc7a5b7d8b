package main

import "os"

// openFiles is how many descriptors the process has open, or -1 if that cannot be told. Since Linux 6.2 the size of
// /proc/self/fd is their number; before it is 0, and the entries are counted.
func openFiles() int {
	if info, err := os.Stat("/proc/self/fd"); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return -1
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return -1
	}
	return len(names) - 1 // dir itself
}
