package upgrade

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// Successor is the new process's side of an upgrade, or of a restart or a crash, after which the old one is gone. A nil one is a process that was
// started in the usual way: it has no socket and no part, and takes nothing over.
type Successor struct {
	source source
	late   bool // the old process is gone
	state  *handoff.State
	jump   time.Duration // of the clock since state was written
	given  []bool        // by socket: it has an owner
	unused []string      // paths of Unix sockets that nobody has asked for
	lost   error         // late: what could not be taken over
}

// source is where the state comes from: a handoff.Taker or a handoff.Parcel.
type source interface {
	Greet(build string) (*handoff.State, error)
	Ready(adopt func([]handoff.Conn) error) (*handoff.Final, error)
	Adopted() error
	Refuse(why error)
	Close() error
}

// Inherit returns the upgrade that this process was started for, nil if it was not. It removes the variable from the environment,
// which is part of the configuration.
func Inherit() (*Successor, error) {
	value, set := os.LookupEnv(Variable)
	if !set {
		return nil, nil
	}
	_ = os.Unsetenv(Variable)
	fd, err := strconv.Atoi(value)
	if err != nil || fd < firstExtra {
		return nil, fmt.Errorf("%s=%q in the environment: l4fwd sets it for a process that takes over, nobody else does; remove it", Variable, value)
	}
	syscall.CloseOnExec(fd)
	t, err := handoff.NewTaker(os.NewFile(uintptr(fd), "handover"))
	if err != nil {
		return nil, fmt.Errorf("%s=%q in the environment: %w", Variable, value, err)
	}
	return &Successor{source: t}, nil
}

// Greet says who this process is, and receives the sockets and parts of the old one. at is called at each message; see
// handoff.Channel.
func (s *Successor) Greet(build string, at func(sent bool, k handoff.Kind) error) (err error) {
	if s == nil || s.state != nil {
		return nil
	}
	if t, ok := s.source.(*handoff.Taker); ok {
		t.At = at
	}
	if s.state, err = s.source.Greet(build); err != nil {
		return fmt.Errorf("take over from the running process: %w", err)
	}
	s.given = make([]bool, len(s.state.Sockets))
	if err := s.checkSockets(); err != nil {
		return fmt.Errorf("take over from the running process: %w", err)
	}
	s.jump = s.state.Jump()
	return nil
}

// checkSockets returns an error for a socket that does not accept where the state says. Those that a process left that is gone are left
// out instead: the listener opens another one.
func (s *Successor) checkSockets() error {
	var good []handoff.Socket
	for i := range s.state.Sockets {
		socket := &s.state.Sockets[i]
		err := socket.Check()
		switch {
		case err == nil:
			good = append(good, *socket)
		case s.late:
			_ = syscall.Close(socket.FD)
			s.lost = errors.Join(s.lost, err)
		default:
			return err
		}
	}
	s.state.Sockets, s.given = good, s.given[:len(good)]
	return nil
}

// Refuse tells the old process why this one does not take over.
func (s *Successor) Refuse(why error) {
	if s != nil {
		s.source.Refuse(why)
	}
}

// Late reports whether the old process is gone: there is nobody to go on if this one does not.
func (s *Successor) Late() bool { return s != nil && s.late }

// Lost tells what of a process that is gone could not be taken over; nil: nothing.
func (s *Successor) Lost() error { return s.lost }

// From returns the version and the pid of the old process.
func (s *Successor) From() (build string, pid int) {
	if s == nil {
		return "", 0
	}
	return s.state.Build, s.state.PID
}

// Jump returns by how much the calendar's clock was set since the old process wrote its parts: see handoff.State.
func (s *Successor) Jump() time.Duration {
	if s == nil {
		return 0
	}
	return s.jump
}

// Part returns a part of the old process's state, nil if there is none of that name.
func (s *Successor) Part(name string) handoff.Part {
	if s == nil {
		return nil
	}
	return s.state.Parts[name]
}

// Listener returns the old process's socket of that use and address, nil if there is none. The caller owns it.
func (s *Successor) Listener(use, network, address string) (net.Listener, error) {
	if s == nil {
		return nil, nil
	}
	for i, socket := range s.state.Sockets {
		if s.given[i] || socket.Use != use || socket.Name != listenerName(network, address) {
			continue
		}
		s.given[i] = true
		f := os.NewFile(uintptr(socket.FD), socket.Name)
		defer f.Close() // FileListener has a duplicate
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("take over %s: %w", socket.Name, err)
		}
		return l, nil
	}
	return nil, nil
}

// Addresses are where the old process listens.
func (s *Successor) Addresses() (all []netip.AddrPort) {
	if s == nil {
		return nil
	}
	for _, socket := range s.state.Sockets {
		addr := socket.Addr
		if text, tcp := strings.CutPrefix(socket.Name, "tcp:"); tcp && socket.Use != handoff.UseRelay {
			addr, _ = netip.ParseAddrPort(text) // not valid: nothing is compared with it
		}
		if addr.IsValid() {
			all = append(all, addr)
		}
	}
	return all
}

// Sockets returns the relay's sockets, and the beginning of its loops' clock. The sockets stay the Successor's.
func (s *Successor) Sockets() (all []handoff.Socket, base int64) {
	for _, socket := range s.state.Sockets {
		if socket.Use == handoff.UseRelay {
			all = append(all, socket)
		}
	}
	return all, s.state.Base
}

// Heir is the new daemon as an upgrade sees it: prepared, accepting nothing.
type Heir interface {
	// Take adds a connection and owns its descriptors, also after an error.
	Take(*handoff.Conn) error
	// Settle puts the final figures in place.
	Settle(*handoff.Final) error
}

// errLost is why a new process ends whose old one has gone silent.
var errLost = errors.New("the running process went silent before it had handed over")

// TakeOver takes the connections. On nil everything is this process's: the caller lets the loops run. An old process that dies
// on the way leaves what it had handed over.
func (s *Successor) TakeOver(n Heir) error {
	if s == nil {
		return nil
	}
	s.closeRest()
	if s.late {
		s.unpack(n)
		return nil
	}
	final, err := s.source.Ready(func(conns []handoff.Conn) error {
		for i := range conns {
			if err := n.Take(&conns[i]); err != nil {
				closeFrom(conns[i+1:])
				return fmt.Errorf("connection %d: %w", conns[i].ID, err)
			}
		}
		return nil
	})
	if err != nil {
		return s.orphaned(err)
	}
	if err := n.Settle(final); err != nil {
		return err
	}
	if err := s.source.Adopted(); err != nil {
		return s.orphaned(err)
	}
	return nil
}

// unpack takes what the old process left. What can't be taken is lost: nobody else has it.
func (s *Successor) unpack(n Heir) {
	lost, last := 0, error(nil)
	final, err := s.source.Ready(func(conns []handoff.Conn) error {
		for i := range conns {
			if err := n.Take(&conns[i]); err != nil {
				lost++
				last = err
			}
		}
		return nil
	})
	if err == nil && final.Still != 0 { // else it died, and there are no figures
		err = n.Settle(final)
	}
	if lost > 0 {
		s.lost = errors.Join(s.lost, fmt.Errorf("%d connections, the last one: %w", lost, last))
	}
	s.lost = errors.Join(s.lost, err)
}

// Close closes the channel and the sockets that nobody was given.
func (s *Successor) Close() {
	if s == nil {
		return
	}
	_ = s.source.Close()
	if s.state != nil {
		s.closeRest()
	}
}

// RemoveUnused removes the Unix sockets of the old process that have no place in the configuration any more: nobody accepts there. It is
// called once everything is this process's.
func (s *Successor) RemoveUnused() {
	for _, path := range s.unused {
		_ = os.Remove(path) // whoever finds it is refused, which is as clear
	}
	s.unused = nil
}

// orphaned is nil if an error means that the old process has died: nobody else owns what it handed over.
func (s *Successor) orphaned(err error) error {
	switch {
	case handoff.Ended(err) && s.alone():
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errLost
	}
	return err
}

// alone reports whether the old process has ended. It closes its files a moment before that.
func (s *Successor) alone() bool {
	for range 100 {
		if os.Getppid() != s.state.PID {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// closeRest closes the sockets that Listener has given to nobody: those of the relay, which has duplicates by now, and those whose
// listener is not in the configuration any more.
func (s *Successor) closeRest() {
	for i, socket := range s.state.Sockets {
		if s.given[i] {
			continue
		}
		s.given[i] = true
		_ = syscall.Close(socket.FD)
		if path, unix := strings.CutPrefix(socket.Name, listenerName("unix", "")); unix && socket.Use != handoff.UseRelay {
			s.unused = append(s.unused, path)
		}
	}
}

// closeFrom closes the descriptors of connections that nobody takes.
func closeFrom(conns []handoff.Conn) {
	for i := range conns {
		conns[i].CloseFDs()
	}
}
