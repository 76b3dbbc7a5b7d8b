package netns

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// End is one end of a veth pair: where it is, the device's name there and its addresses, with the length of their network.
type End struct {
	In    *Space
	Name  string
	Addrs []netip.Prefix
}

// Join connects two namespaces by a veth pair and brings both ends up. The pair goes when either namespace does.
func Join(a, b End) error {
	err := a.In.Do(func() error { return veth(a.Name, b.Name, int(b.In.file.Fd())) })
	for _, e := range []End{a, b} {
		if err == nil {
			err = e.In.Do(func() error { return e.ready() })
		}
	}
	if err != nil {
		return fmt.Errorf("join by veth %s and %s: %w", a.Name, b.Name, err)
	}
	return nil
}

func (e End) ready() error {
	for _, a := range e.Addrs {
		if err := address(e.Name, a); err != nil {
			return err
		}
	}
	return up(e.Name)
}

// vethInfoPeer is VETH_INFO_PEER of linux/veth.h.
const vethInfoPeer = 1

// veth makes a pair in the calling thread's namespace, whose other end is born in the namespace that fd refers to.
func veth(name, peer string, fd int) error {
	other := slices.Concat(linkHead(0, 0), attr(unix.IFLA_IFNAME, text(peer)), attr(unix.IFLA_NET_NS_FD, number(uint32(fd))))
	info := slices.Concat(attr(unix.IFLA_INFO_KIND, text("veth")), attr(unix.IFLA_INFO_DATA, attr(vethInfoPeer, other)))
	return request("make a veth pair", unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL,
		linkHead(0, 0), attr(unix.IFLA_IFNAME, text(name)), attr(unix.IFLA_LINKINFO, info))
}

// up brings a device of the calling thread's namespace up.
func up(name string) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	return request("bring "+name+" up", unix.RTM_NEWLINK, 0, linkHead(i.Index, unix.IFF_UP))
}

// address gives a device an IPv4 address; the route to its network comes with it.
func address(name string, a netip.Prefix) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	ip := a.Addr().As4()
	head := slices.Concat([]byte{unix.AF_INET, byte(a.Bits()), 0, unix.RT_SCOPE_UNIVERSE}, number(uint32(i.Index)))
	return request(fmt.Sprintf("give %s the address %s", name, a), unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL,
		head, attr(unix.IFA_LOCAL, ip[:]), attr(unix.IFA_ADDRESS, ip[:]))
}

// linkHead is a struct ifinfomsg that sets flags.
func linkHead(index int, flags uint32) []byte {
	return slices.Concat([]byte{unix.AF_UNSPEC, 0, 0, 0}, number(uint32(index)), number(flags), number(flags))
}

func number(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func text(s string) []byte { return append([]byte(s), 0) }

// attr is a struct rtattr with its value, padded to four bytes.
func attr(kind int, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtAttr+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, uint16(kind)), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// request sends one message of rtnetlink(7) from the calling thread's namespace and waits for its acknowledgement.
func request(what string, kind, flags int, parts ...[]byte) error {
	if err := exchange(kind, flags, slices.Concat(parts...)); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func exchange(kind, flags int, body []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	msg := number(uint32(unix.SizeofNlMsghdr + len(body)))
	msg = binary.NativeEndian.AppendUint16(msg, uint16(kind))
	msg = binary.NativeEndian.AppendUint16(msg, uint16(flags|unix.NLM_F_REQUEST|unix.NLM_F_ACK))
	msg = slices.Concat(msg, number(1), number(0), body)
	if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 8192)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return err
	}
	// The one answer is an NLMSG_ERROR: the header, and an errno that is 0 where all is well.
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("rtnetlink answered %x", answer[:n])
	}
	if e := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); e != 0 {
		return syscall.Errno(-e)
	}
	return nil
}
