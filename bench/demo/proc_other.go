//go:build !linux

package main

import "syscall"

// processAttributes sets the child apart from the terminal's signals. A killed demo leaves it behind, as only
// Linux tells a child that its parent is gone.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
