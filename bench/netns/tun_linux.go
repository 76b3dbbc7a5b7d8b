package netns

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Tun makes a TUN device with an MTU of 1500, brings it up and returns its other side: a Read is one IP packet that the
// namespace sends over the device, a Write one that it receives. The caller owns the file, from any thread; closing it
// takes the device away and ends a Read under way.
func Tun(e End) (*os.File, error) {
	var f *os.File
	err := e.In.Do(func() (err error) {
		if f, err = tun(e.Name); err != nil {
			return err
		}
		return e.ready()
	})
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, fmt.Errorf("make the TUN device %s: %w", e.Name, err)
	}
	return f, nil
}

// tun makes a device in the calling thread's namespace, without offloads: packets are whole, and their checksums are right.
func tun(name string) (*os.File, error) {
	const path = "/dev/net/tun"
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("TUNSETIFF", err)
	}
	// Not before: a file without a device cannot be polled, and would be read by a thread that Close does not wake.
	return os.NewFile(uintptr(fd), path), nil
}
