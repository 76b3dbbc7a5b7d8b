//go:build linux || darwin

package admin

import (
	"os"
	"syscall"
	"unsafe"
)

// TerminalWidth is how many columns the terminal behind f has; 0: f is none. See ioctl_tty(2).
func TerminalWidth(f *os.File) int {
	var size struct{ rows, columns, x, y uint16 }
	_, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if e != 0 {
		return 0
	}
	return int(size.columns)
}
