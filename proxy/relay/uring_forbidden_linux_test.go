package relay

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
)

const forbiddenChild = "L4FWD_TEST_FORBIDDEN"

// TestForbiddenUring: where a seccomp filter forbids io_uring, as Docker's default profile does, auto takes epoll, says why,
// and works; uring is refused with the reason. The filter is for life, so this runs in a process of its own.
func TestForbiddenUring(t *testing.T) {
	if how := os.Getenv(forbiddenChild); how != "" {
		withoutUring(t, how)
		return
	}
	needsUring(t)
	for how, want := range map[string]string{
		"setup EPERM": "seccomp", "setup ENOSYS": "seccomp", "register EPERM": "seccomp", "register ENOSYS": "provided buffers", "enter EPERM": "seccomp",
		"memory 64": "LimitMEMLOCK=1", "memory 600": "LimitMEMLOCK=1",
	} {
		t.Run(how, func(t *testing.T) {
			if strings.HasPrefix(how, "memory") && kernelBefore(t, 6, 14) {
				t.Skip("before 6.14 rings do not count for the limit of locked memory")
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestForbiddenUring$", "-test.v")
			cmd.Env = append(os.Environ(), forbiddenChild+"="+how)
			out, err := withoutIPCLock(cmd)
			require.NoError(t, err, "%s", out)
			line := string(out[strings.Index(string(out), "REASON"):])
			line, _, _ = strings.Cut(line, "\n")
			t.Log(line)
			require.Contains(t, line, want)
		})
	}
}

func withoutUring(t *testing.T, how string) {
	call, errno, _ := strings.Cut(how, " ")
	if call == "memory" {
		kib, err := strconv.Atoi(errno)
		require.NoError(t, err)
		limit := uint64(kib) << 10
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: limit, Max: limit}))
	} else {
		forbidCall(t, call, errno)
	}
	r := newRig(t, "auto", loopback4)
	c, u := r.pair()
	c.send("over epoll")
	u.want("over epoll")
	name, reason := r.relay.Engine()
	require.Equal(t, "epoll", name)
	c.fin()
	u.wantEnd(sawFIN)
	u.fin()
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 10, 0)

	_, err := Start(Options{Engine: "uring", Loops: testLoops, Handler: r.policy, Listeners: r.opts.Listeners})
	var refused *EngineError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "uring", refused.Engine)
	if ring.Proven() == nil { // else the kernel's age comes first
		require.Contains(t, reason, refused.Err.Error())
	}
	fmt.Println("REASON", refused.Err)
}

func forbidCall(t *testing.T, call, errno string) {
	nr := map[string]uint32{"setup": unix.SYS_IO_URING_SETUP, "enter": unix.SYS_IO_URING_ENTER, "register": unix.SYS_IO_URING_REGISTER}[call]
	e := map[string]unix.Errno{"EPERM": unix.EPERM, "ENOSYS": unix.ENOSYS}[errno]
	require.NoError(t, forbid(nr, e))
}

// withoutIPCLock starts a process without CAP_IPC_LOCK: a thread that has given it up does, and ends with its goroutine.
func withoutIPCLock(cmd *exec.Cmd) (out []byte, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_IPC_LOCK, 0, 0, 0) // who is not root has none
		out, err = cmd.CombinedOutput()
	}()
	<-done
	return out, err
}

// forbid has a system call fail with e from now on, in all threads of the process: seccomp(2), with a filter in the
// classic BPF of linux/filter.h.
func forbid(nr uint32, e unix.Errno) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // seccomp_data.nr
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(e)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return errno
	}
	return nil
}
