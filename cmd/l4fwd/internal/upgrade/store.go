package upgrade

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// Store is the service manager's store of descriptors: it keeps them while no process of the unit runs.
type Store interface {
	// Store has f, which stays the caller's, kept under a name. A store that refuses it says nothing.
	Store(name string, f *os.File) error
	// Unstore has what is kept under a name closed.
	Unstore(name string) error
}

// What parcels in the store are for: how their names begin.
const (
	keptSockets = "sockets." // left by a process that died
	keptAll     = "restart." // left by one that ended for a restart, connections included
)

// Keeper keeps the daemon's listening sockets in the store, so that they outlive a crash. Its methods are safe for concurrent use.
type Keeper struct {
	store Store
	log   *zap.Logger

	mu    sync.Mutex
	names []string // of all that the store may have, this process's and older ones'
	made  int      // parcels of this process
	quiet bool     // it is known that nothing is kept
}

// NewKeeper returns a Keeper. left are the names of what processes before this one have left in the store: it is dropped as soon
// as there is something in its place.
func NewKeeper(store Store, log *zap.Logger, left []string) *Keeper {
	return &Keeper{store: store, log: log, names: slices.Clone(left)}
}

// Keep puts the sockets of s, which stay the caller's, into the store, in place of those that are there. A store that keeps
// nothing is no failure, and is logged once.
func (k *Keeper) Keep(s *handoff.State) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := handoff.NewPacker()
	if err == nil {
		defer p.Close()
		err = p.Offer(s)
	}
	if err == nil {
		err = k.put(keptSockets, p)
	}
	if err != nil && !k.quiet {
		k.quiet = true
		k.log.Info("the listening sockets are not kept for a restart or a crash, which will close them; logged once",
			zap.Error(err), zap.String("do", "under systemd set FileDescriptorStoreMax= in the unit, as the one shipped does"))
	}
}

// put seals a parcel, puts it into the store and drops all that was there before, but for the sockets if the parcel has
// connections, too: they are for a process that can't read it. It is called with mu held.
func (k *Keeper) put(kind string, p *handoff.Packer) error {
	sealed, err := p.Seal()
	if err != nil {
		return err
	}
	k.made++
	name := fmt.Sprintf("%s%d.%d", kind, os.Getpid(), k.made)
	old := k.names
	k.names = append(slices.Clone(old), name)
	if err := k.store.Store(name, sealed.File); err != nil {
		sealed.Close()
		k.drop([]string{name}) // it may come to it later
		return err
	}
	if !sealed.Kept() {
		k.names = old
		return errNotKept
	}
	if kind == keptSockets {
		k.drop(old)
	}
	return nil
}

// errNotKept is the error of a store that refused a parcel.
var errNotKept = fmt.Errorf("it does not keep what it is given")

// drop removes names from the store. It is called with mu held.
func (k *Keeper) drop(names []string) {
	for _, name := range names {
		if err := k.store.Unstore(name); err != nil {
			k.log.Debug("a descriptor was not removed from the service manager's store", zap.String("name", name), zap.Error(err))
			continue
		}
		k.names = slices.DeleteFunc(slices.Clone(k.names), func(n string) bool { return n == name })
	}
}

// Drop removes everything from the store: clients must be refused where nobody accepts any more.
func (k *Keeper) Drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drop(k.names)
}

// Names are those of all that the store may have, for the process that takes over.
func (k *Keeper) Names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.names)
}

// Kept is a descriptor that the process before this one left in the store.
type Kept struct {
	Name string
	File *os.File
}

// Unpack opens what the process before this one left: all of it if that can be read, else its listening sockets. It owns the
// files, and returns nil if there is nothing. What can't be read is logged.
func Unpack(kept []Kept, log *zap.Logger) *Successor {
	kept = slices.SortedStableFunc(slices.Values(kept), func(a, b Kept) int { return cmp.Compare(rank(a.Name), rank(b.Name)) })
	var s *Successor
	for _, p := range kept {
		if s != nil {
			_ = p.File.Close() // its sockets are in the other one, too
			continue
		}
		var err error
		if s, err = unpack(p.File); err != nil {
			log.Error("what the process before this one left can't be used", zap.String("name", p.Name), zap.Error(err))
		}
	}
	return s
}

// rank is the order in which parcels are tried.
func rank(name string) int {
	if strings.HasPrefix(name, keptAll) {
		return 0
	}
	return 1
}

// unpack opens a parcel and takes over f.
func unpack(f *os.File) (*Successor, error) {
	p, err := handoff.OpenParcel(f)
	if err != nil {
		return nil, err
	}
	s := &Successor{source: p, late: true}
	if err := s.Greet("", nil); err != nil {
		p.Close()
		return nil, err
	}
	return s, nil
}

// listenerName is how the address of a port is written in the state: as configured, since 0 is not the port in the end.
func listenerName(network, address string) string { return network + ":" + address }

// PortSocket describes a socket of the health or admin port, which was configured as network and address.
func PortSocket(use, network, address string, fd int) handoff.Socket {
	return handoff.Socket{Use: use, Name: listenerName(network, address), FD: fd}
}
