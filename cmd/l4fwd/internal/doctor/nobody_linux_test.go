package doctor_test

import (
	"os"
	"os/exec"
	"syscall"
)

// becomeNobody runs a command as a user without any privilege, as far as this user may.
func becomeNobody(cmd *exec.Cmd) {
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
}
