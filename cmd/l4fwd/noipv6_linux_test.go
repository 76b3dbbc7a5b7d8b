package main

import (
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// withoutIPv6 in the environment makes the test binary forbid itself IPv6 sockets, as a kernel without IPv6 would, and then
// run the rest of its command line.
const withoutIPv6 = "TEST_WITHOUT_IPV6"

func init() {
	if os.Getenv(withoutIPv6) == "" {
		return
	}
	_ = os.Unsetenv(withoutIPv6)
	runtime.LockOSThread()
	forbidIPv6()
	panic(syscall.Exec(os.Args[1], os.Args[1:], os.Environ()))
}

// forbidIPv6 has socket(AF_INET6, …) fail with EAFNOSUPPORT from now on, seccomp(2).
func forbidIPv6() {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_SOCKET, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 16}, // its first argument
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.AF_INET6, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EAFNOSUPPORT)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		panic(err)
	}
}

// Without IPv6 :443 is 0.0.0.0:443, and the log said [::]:443.
func TestWithoutIPv6TheLogHasTheAddressThatIsBound(t *testing.T) {
	for _, engine := range []string{"uring", "epoll", "portable"} {
		p := prepare(t, []string{withoutIPv6 + "=1"}, "--engine", engine)
		_, port, _ := strings.Cut(p.listen, ":")
		for i, arg := range p.cmd.Args {
			if arg == p.listen {
				p.cmd.Args[i] = ":" + port
			}
		}
		self, err := os.Executable()
		require.NoError(t, err)
		p.cmd.Args = append([]string{self, p.cmd.Path}, p.cmd.Args[1:]...)
		p.start(t).ready(t)
		p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"address":"0.0.0.0:`+port+`"`) })
		require.NotContains(t, p.log.String(), `"address":"[::]`)
		require.Contains(t, l4fwd(t, nil, "status", "--admin", p.admin).stdout, "0.0.0.0:"+port)
		exchange(t, p.dial(t))
		p.signal(t, syscall.SIGHUP)
		p.eventually(t, func() bool { return strings.Contains(p.log.String(), saidReloaded) })
		exchange(t, p.dial(t))
	}
}
