package health

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread that has a network of its own, in which every address of 2001:db8::/48 is this machine's.
// The sockets that f opens itself belong to it; goroutines that it starts run elsewhere.
func inNamespace(t *testing.T, f func(t *testing.T)) {
	if os.Getuid() != 0 {
		t.Skip("a network of its own takes root")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the test's goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("no network of its own: ", err)
	}
	for _, command := range []string{"ip link set lo up", "ip -6 route add local 2001:db8::/48 dev lo", "sysctl -qw net.ipv6.ip_nonlocal_bind=1"} {
		argv := strings.Fields(command)
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Skipf("no IPv6 here: %s: %v: %s", command, err, out)
		}
	}
	f(t)
}

// 16 addresses of one IPv6 /64 with 40 silent connections each left a load balancer one answer of three.
func TestChecksAreAnsweredBesideAPrefixOfSilentCallers(t *testing.T) {
	for name, balancer := range map[string]string{"another prefix": "2001:db8:0:2::1", "the same prefix": "2001:db8:0:1::ffff"} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t, func(t *testing.T) {
				ln, err := net.Listen("tcp", "[2001:db8::1]:0")
				require.NoError(t, err)
				to := serveOn(t, ln, New(), fine)
				for i := range 640 {
					dialFrom(t, fmt.Sprintf("2001:db8:0:1::%x", 1+i%16), to)
				}
				requirePrompt(t, balancer, to)
			})
		})
	}
}
