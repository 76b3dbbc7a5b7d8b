//go:build !linux

package systemd

// pidfdID returns 0: only Linux has pidfds.
func pidfdID(int) uint64 { return 0 }
