//go:build !linux

package doctor_test

import "os/exec"

// becomeNobody does nothing here: tests rarely run as root.
func becomeNobody(*exec.Cmd) {}
