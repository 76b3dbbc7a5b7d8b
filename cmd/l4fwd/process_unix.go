//go:build unix

package main

import "golang.org/x/sys/unix"

// raiseFileLimit raises the soft limit of open files to the hard one and returns the limit in effect. Go's runtime does
// the same at start, unless the program was built without package os's help; here it is said and checked.
func raiseFileLimit() (uint64, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, err
	}
	if lim.Cur >= lim.Max {
		return lim.Cur, nil
	}
	raised := lim
	raised.Cur = lim.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
		return lim.Cur, err
	}
	return raised.Cur, nil
}
