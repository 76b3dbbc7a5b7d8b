package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

// The descriptor store: systemd keeps descriptors for a unit with FileDescriptorStoreMax= while its process is restarted, and
// passes them to the new one after the listening sockets of socket units. See FDSTORE=1 in sd_notify(3).

// Stored is a descriptor that the process before this one left in the store.
type Stored struct {
	Name string
	File *os.File
}

// storePrefix begins the names of descriptors in the store. FileDescriptorName= of a socket unit must not.
const storePrefix = "l4fwd.store."

// Passed is what the service manager passed to this process.
type Passed struct {
	Sockets []Socket // of socket units
	Stored  []Stored // the caller owns the files

	files []*os.File
}

// Inherit takes what the service manager passed to this process, if anything, and removes the variables that say so from the environment.
func Inherit() (*Passed, error) {
	p := &Passed{}
	for i, f := range activation.Files(true) {
		if name, stored := strings.CutPrefix(f.Name(), storePrefix); stored {
			p.Stored = append(p.Stored, Stored{Name: name, File: f})
			continue
		}
		p.files = append(p.files, f)
		// Not f.Fd(), which would make the socket blocking.
		s := Socket{Name: f.Name(), FD: firstSocket + i}
		var err error
		if s.Addr, err = listeningOn(s.FD); err != nil {
			p.Close()
			return nil, fmt.Errorf("socket %q (descriptor %d) from the service manager: %w; it needs ListenStream=", s.Name, s.FD, err)
		}
		p.Sockets = append(p.Sockets, s)
	}
	return p, nil
}

// Close closes the sockets of socket units: who uses one after that needs a duplicate.
func (p *Passed) Close() {
	for _, f := range p.files {
		f.Close()
	}
	p.files, p.Sockets = nil, nil
}

// Managed reports whether there is a service manager to notify.
func (n *Notifier) Managed() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// Store asks the service manager to keep f under a name, and waits until it has read that. It may refuse without a word. f stays the
// caller's.
func (n *Notifier) Store(name string, f *os.File) error {
	// FDPOLL=0: else it would be dropped at once, since nobody has the other end.
	if err := notifyWith("FDSTORE=1\nFDPOLL=0\nFDNAME="+storePrefix+name, int(f.Fd())); err != nil {
		return err
	}
	return n.barrier()
}

// Unstore asks the service manager to close what it keeps under a name, and waits until it has read that.
func (n *Notifier) Unstore(name string) error {
	if err := notifyWith("FDSTOREREMOVE=1\nFDNAME="+storePrefix+name, -1); err != nil {
		return err
	}
	return n.barrier()
}

// barrierTime is how long the service manager may take to read what it was sent. sd_notify_barrier(3) waits as long for a reply as it is told.
const barrierTime = 2 * time.Second

// errNoReader is the error of a barrier that the service manager does not reach.
var errNoReader = errors.New("the service manager does not read its notifications")

// barrier returns when the service manager has read all that was sent to it.
func (n *Notifier) barrier() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	err = notifyWith("BARRIER=1", int(w.Fd()))
	w.Close()
	if err != nil {
		return err
	}
	if err := r.SetReadDeadline(time.Now().Add(barrierTime)); err != nil {
		return err
	}
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return errNoReader
	}
	return nil // nobody has the other end any more
}

// errNoManager is the error of a notification without a service manager.
var errNoManager = errors.New("no service manager (NOTIFY_SOCKET)")

// notifyWith sends a notification with a descriptor; -1: without one.
func notifyWith(state string, fd int) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return errNoManager
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	var rights []byte
	if fd >= 0 {
		rights = syscall.UnixRights(fd)
	}
	raw, err := c.SyscallConn() // WriteMsgUnix sends no datagram on a socket that is connected
	if err != nil {
		return err
	}
	sent := errors.New("not sent")
	err = raw.Write(func(to uintptr) bool {
		sent = syscall.Sendmsg(int(to), []byte(state), rights, nil, 0)
		return sent != syscall.EAGAIN
	})
	return errors.Join(err, sent)
}
