package main

import "syscall"

// processAttributes sets the child apart from the terminal's signals, and has it drain if the demo is killed.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
