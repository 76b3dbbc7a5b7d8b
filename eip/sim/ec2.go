package sim

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// EC2Options say how EC2 behaves. The zero value is one that answers at once and never refuses.
type EC2Options struct {
	// Buckets are the token buckets of the account, by action; the one under "" is shared by all actions without their
	// own. An action without any is never throttled.
	Buckets map[string]*Bucket

	Latency func() time.Duration // of a call, half of it before the effect; nil: none
	Lag     func() time.Duration // how old what a listing shows may be; nil: 0

	// Fault is asked once a call. nil: never any.
	Fault func(Call) Fault

	// Denied are actions the caller lacks the permission for.
	Denied map[string]bool

	// RefuseSecond fails an association with a private address that has one, by an error that names the interface,
	// instead of dropping the first association silently. The texts about EC2 allow either reading.
	RefuseSecond bool
	// RefuseRepeat fails the repetition of an association that exists, instead of answering it again.
	RefuseRepeat bool
}

// Call is one call of an action as the simulation sees it.
type Call struct {
	Action    string
	Interface string // of AssociateAddress, else empty
	N         int    // of all calls, from 1
}

// Fault is what goes wrong with a call.
type Fault int

// The faults. Unreachable and LostResponse look alike to the caller.
const (
	NoFault      Fault = iota
	Unreachable        // the call never arrives
	LostResponse       // it takes effect, but the answer is lost
	Throttle           // RequestLimitExceeded
	Internal           // InternalError before any effect
	InternalDone       // InternalError after the effect
)

// EC2 is the simulated service of one account in one region. Its methods are safe for concurrent use.
type EC2 struct {
	o EC2Options

	mu         sync.Mutex
	addresses  []*address // in the order of allocation
	interfaces map[string]*netInterface
	calls      map[string]int // by action and result
	total      int
	serial     int
	onChange   func(Change)
	endpoints  []endpointItem
}

// address is an Elastic IP address with its past, newest last, so that a listing can be old.
type address struct {
	allocation string
	public     netip.Addr
	tags       map[string]string
	past       []association
}

// association is what an address was associated with from a moment on; without an id it was free.
type association struct {
	at      time.Time
	id      string
	eni     string
	private netip.Addr
	gone    bool // no longer allocated
}

type netInterface struct {
	id       string
	instance string
	private  []netip.Addr // primary first
}

// Change is a change of what an address is associated with, as it really is at that moment.
type Change struct {
	Allocation string
	From, To   string // network interfaces; empty: free
	By         string // the action; empty: a method of EC2
}

// NewEC2 returns a region without addresses or interfaces.
func NewEC2(o EC2Options) *EC2 {
	return &EC2{o: o, interfaces: map[string]*netInterface{}, calls: map[string]int{}}
}

// OnChange has fn called with each change, in order, under the lock of the simulation.
func (s *EC2) OnChange(fn func(Change)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onChange = fn
}

// Configure changes how EC2 behaves from the next call on.
func (s *EC2) Configure(fn func(*EC2Options)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(&s.o)
}

// Transport returns a RoundTripper that has the requests answered within the process.
func (s *EC2) Transport() http.RoundTripper { return roundTripper(s.answer) }

// ServeHTTP answers over a socket. A fault without an answer ends the connection.
func (s *EC2) ServeHTTP(w http.ResponseWriter, r *http.Request) { serveAnswer(w, r, s.answer) }

// AddAddress allocates an address with tags, and returns its allocation id.
func (s *EC2) AddAddress(tags map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.addresses) + 1
	a := &address{
		allocation: fmt.Sprintf("eipalloc-%017x", n),
		public:     netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}),
		tags:       tags,
		past:       []association{{}},
	}
	s.addresses = append(s.addresses, a)
	return a.allocation
}

// AddInterface makes a network interface of an instance, with its private addresses, the primary first.
func (s *EC2) AddInterface(id, instance string, private ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interfaces[id] = &netInterface{id: id, instance: instance, private: private}
}

// DeleteInterface is what the end of an instance does: its addresses are free again.
func (s *EC2) DeleteInterface(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.addresses {
		if a.now().eni == id {
			s.associate(a, association{}, "")
		}
	}
	delete(s.interfaces, id)
}

// Move associates the address with the interface's primary address as an operator would who allows reassociation, or
// with an empty interface frees it.
func (s *EC2) Move(allocation, eni string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.address(allocation)
	if eni == "" {
		s.associate(a, association{}, "")
		return
	}
	private := s.interfaces[eni].private[0]
	s.vacate(eni, private, "")
	s.associate(a, association{id: s.newAssociation(), eni: eni, private: private}, "")
}

// ReleaseAddress ends the allocation, as an operator would.
func (s *EC2) ReleaseAddress(allocation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.associate(s.address(allocation), association{gone: true}, "")
}

// Holders returns the interface of each allocation that is associated, as it really is.
func (s *EC2) Holders() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for _, a := range s.addresses {
		if now := a.now(); now.id != "" {
			all[a.allocation] = now.eni
		}
	}
	return all
}

// PublicIPv4 is what the instance metadata would say at that interface: the address associated with its primary private
// address, or the zero Addr.
func (s *EC2) PublicIPv4(eni string) netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.addresses {
		if now := a.now(); now.eni == eni && now.private == s.interfaces[eni].private[0] {
			return a.public
		}
	}
	return netip.Addr{}
}

// Calls returns how often each action ended how: "AssociateAddress ok", "DescribeAddresses RequestLimitExceeded".
func (s *EC2) Calls() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]int{}
	for what, n := range s.calls {
		all[what] = n
	}
	return all
}

// now returns the current association, whatever listings show.
func (a *address) now() association { return a.past[len(a.past)-1] }

// asOf returns what a listing of that moment shows.
func (a *address) asOf(t time.Time) association {
	for i := len(a.past) - 1; i > 0; i-- {
		if !a.past[i].at.After(t) {
			return a.past[i]
		}
	}
	return a.past[0]
}

// associate gives the address a new present. The caller holds the lock.
func (s *EC2) associate(a *address, to association, by string) {
	from := a.now().eni
	to.at = time.Now()
	a.past = append(a.past, to)
	if s.onChange != nil {
		s.onChange(Change{a.allocation, from, to.eni, by})
	}
}

// vacate drops what the private address is associated with.
func (s *EC2) vacate(eni string, private netip.Addr, by string) {
	if a := s.at(eni, private); a != nil {
		s.associate(a, association{}, by)
	}
}

// at returns the address that is associated with a private address of an interface, nil if there is none. The caller holds mu.
func (s *EC2) at(eni string, private netip.Addr) *address {
	for _, a := range s.addresses {
		if now := a.now(); now.id != "" && now.eni == eni && now.private == private {
			return a
		}
	}
	return nil
}

// address returns the address with an allocation, nil if there is none or it was released. The caller holds mu.
func (s *EC2) address(allocation string) *address {
	for _, a := range s.addresses {
		if a.allocation == allocation && !a.now().gone {
			return a
		}
	}
	return nil
}

// newAssociation returns an association id that was never used. The caller holds mu.
func (s *EC2) newAssociation() string {
	s.serial++
	return fmt.Sprintf("eipassoc-%017x", s.serial)
}
