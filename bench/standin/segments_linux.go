package standin

import (
	"net"

	"golang.org/x/sys/unix"
)

// dataSegments returns how many segments with data have come over a connection, tcp(7); 0: it is not known.
func dataSegments(c net.Conn) (n int) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return 0
	}
	raw, err := t.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // it fails if the connection is closed
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			n = int(info.Data_segs_in)
		}
	})
	return n
}
