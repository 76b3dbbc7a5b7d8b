//go:build !linux

package main

import "syscall"

// processAttributes sets the child apart from the terminal's signals. A killed demo leaves it behind, as only
// Linux signals a child when its parent has died.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
