package relay

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// legOf fills in what the kernel says of a socket. It allocates nothing.
func legOf(g *Leg, fd int32) {
	var info unix.TCPInfo
	n := uint32(unsafe.Sizeof(info))
	if _, e := raw6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.IPPROTO_TCP, unix.TCP_INFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&n)), 0); e != 0 {
		return
	}
	g.Known = true
	g.RTT = time.Duration(info.Rtt) * time.Microsecond
	g.Retransmits, g.InFlight, g.Unsent, g.Window = info.Total_retrans, info.Unacked, info.Notsent_bytes, info.Snd_wnd
	g.Silent = time.Duration(info.Last_ack_recv) * time.Millisecond
}
