package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// Connection is a live connection, as `l4fwd conns --output json` shows it.
type Connection struct {
	ID        uint64         `json:"id"` // unique in the process, never used again
	Listener  string         `json:"listener"`
	Client    netip.AddrPort `json:"client"` // as the PROXY header says, if one was accepted
	VPCE      string         `json:"vpce"`
	SNI       string         `json:"sni"`
	Upstream  string         `json:"upstream"`         // empty: not chosen yet
	Address   netip.AddrPort `json:"upstream_address"` // empty: none was dialed yet
	State     string         `json:"state"`            // one of ConnectionStates
	Stalls    string         `json:"stalls"`           // one of Stalls: who does not take the bytes that wait
	Age       float64        `json:"age_seconds"`
	Idle      float64        `json:"idle_seconds"` // since a byte moved last
	BytesUp   uint64         `json:"bytes_up"`
	BytesDown uint64         `json:"bytes_down"`
	SpliceUp  bool           `json:"spliced_up"` // goes through a pipe now; false: it is copied
	SpliceDn  bool           `json:"spliced_down"`
	Warm      bool           `json:"warm"` // its upstream connection had been kept ready
	Attempts  int            `json:"attempts"`
	Connect   float64        `json:"connect_ms"`
	FirstByte float64        `json:"first_byte_ms"`
	ClientLeg Leg            `json:"client_leg"`
	Leg       Leg            `json:"upstream_leg"`
}

// Leg is what the kernel says of one of the two sockets of a connection, by TCP_INFO.
type Leg struct {
	Known       bool    `json:"known"` // false: there is no socket, or the kernel does not say
	RTT         float64 `json:"rtt_ms"`
	Retransmits uint32  `json:"retransmits"`      // segments sent again, in all
	InFlight    uint32  `json:"unacked_segments"` // sent and not acknowledged
	Unsent      uint32  `json:"unsent_bytes"`     // that wait in the kernel
	Held        int64   `json:"held_bytes"`       // that wait in l4fwd
	Window      uint32  `json:"peer_window_bytes"`
	Silent      float64 `json:"last_ack_seconds"` // since the peer last acknowledged anything
}

// ConnectionStates lists the values of Connection.State. The list is shared: change nothing in it.
func ConnectionStates() []string { return relay.LookStates() }

// Stalls lists the values of Connection.Stalls. The list is shared: change nothing in it.
func Stalls() []string { return relay.Stalls() }

// Listing is the live connections.
type Listing struct {
	Connections []Connection
	Held        time.Duration // the longest time that an event loop was held without a pause
}

// Connections describes each live connection. No loop is held for more than a fraction of a millisecond at a time. It returns
// early with the error of ctx.
func (s *Server) Connections(ctx context.Context) (Listing, error) {
	var full [][]Connection // batches; a slice that grows would be copied on a loop
	batch := make([]Connection, 0, 2*relay.LookBatch)
	held, err := s.relay.Look(ctx, func() {
		if cap(batch)-len(batch) < relay.LookBatch {
			full = append(full, batch)
			batch = make([]Connection, 0, 2*relay.LookBatch)
		}
	}, func(k *relay.Look) { batch = append(batch, s.policy.connection(k)) })
	full = append(full, batch)
	all := make([]Connection, 0, len(full)*2*relay.LookBatch)
	for _, b := range full {
		all = append(all, b...)
	}
	return Listing{all, held}, err
}

// connection describes one connection. It is called on the connection's loop.
func (p *policy) connection(k *relay.Look) Connection {
	ses := sessionOf(k.Flow)
	c := Connection{
		ID: k.ID, Listener: k.Listener.Name, Client: k.Client, State: k.State.String(), Stalls: k.Stalls.String(),
		Age: thousandths(k.Duration), Idle: thousandths(k.Idle), BytesUp: k.Up, BytesDown: k.Down, SpliceUp: k.Splice[0], SpliceDn: k.Splice[1],
		Warm: k.Flow.Warm, Attempts: k.Attempts, Connect: millis(k.Summary.Connect), FirstByte: millis(k.FirstByte),
		ClientLeg: legOf(&k.Legs[0]), Leg: legOf(&k.Legs[1]),
	}
	if k.Tag != nil { // else the policy has not seen it yet
		if t := p.targetOf(k.Flow, ses); t != nil {
			c.Upstream = t.opts.Name
		}
	}
	if k.Endpoint != nil {
		c.Address = k.Endpoint.Addr
	}
	if ses != nil {
		c.Client = ses.source(k.Flow)
		c.VPCE, c.SNI = ses.parser.Result.VPCE, ses.parser.Result.SNI
	}
	return c
}

// thousandths are seconds to the millisecond: no more digits in the JSON than tell something.
func thousandths(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// legOf is a leg in the units of the API: milliseconds and seconds.
func legOf(g *relay.Leg) Leg {
	return Leg{
		Known: g.Known, RTT: millis(g.RTT), Retransmits: g.Retransmits, InFlight: g.InFlight, Unsent: g.Unsent,
		Held: g.Held, Window: g.Window, Silent: thousandths(g.Silent),
	}
}

// ErrNotOpen is the error for the id of a connection that has ended, or never was.
var ErrNotOpen = errors.New("no such connection is open")

// CloseConnection ends the connection with an id, with the reason operator. The error wraps ErrNotOpen.
func (s *Server) CloseConnection(id uint64) error {
	if s.relay.CloseOne(id, relay.Operator) {
		return nil
	}
	if id == 0 || id > s.relay.LastID() {
		return fmt.Errorf("connection %d: %w; there never was one of this id in this process", id, ErrNotOpen)
	}
	return fmt.Errorf("connection %d: %w; it has ended, and ids are not used again", id, ErrNotOpen)
}

// Errors of RestoreAddress and EjectAddress.
var (
	ErrUnknownAddress = upstream.ErrUnknownAddress
	ErrNotEjected     = upstream.ErrNotEjected
)

// ErrUnknownUpstream is the error for the name of an upstream that the configuration does not have.
var ErrUnknownUpstream = errors.New("there is no upstream of this name")

// Ejection is what became of an address that an operator ejected, or restored.
type Ejection struct {
	Upstream string         `json:"upstream"`
	Address  netip.AddrPort `json:"address"`
	State    string         `json:"state"`            // one of AddressStates
	Until    time.Time      `json:"until,omitzero"`   // absent: until it is restored
	Active   int64          `json:"active"`           // connections to it, which go on
	Others   int            `json:"usable_addresses"` // of the upstream that are left, this one included if it is usable
	Warning  string         `json:"warning,omitempty"`
}

// EjectAddress takes an address of an upstream out of use for d, or until RestoreAddress if d is 0. Connections to it go on. The
// error wraps ErrUnknownUpstream or ErrUnknownAddress.
func (s *Server) EjectAddress(name string, addr netip.AddrPort, d time.Duration) (Ejection, error) {
	t, err := s.upstreamNamed(name)
	if err != nil {
		return Ejection{}, err
	}
	others, err := t.set.Eject(addr, d)
	if err != nil {
		return Ejection{}, t.explain(addr, err)
	}
	e := t.ejection(addr)
	if others == 0 {
		e.Warning = fmt.Sprintf("no usable address of %s is left: new connections to it are refused (no_address), and the instance may not be ready, until this one is restored", name)
	}
	return e, nil
}

// RestoreAddress ends EjectAddress. The error wraps ErrUnknownUpstream, ErrUnknownAddress or ErrNotEjected.
func (s *Server) RestoreAddress(name string, addr netip.AddrPort) (Ejection, error) {
	t, err := s.upstreamNamed(name)
	if err != nil {
		return Ejection{}, err
	}
	if err := t.set.Restore(addr); err != nil {
		return Ejection{}, t.explain(addr, err)
	}
	e := t.ejection(addr)
	if e.Others == 0 {
		e.Warning = fmt.Sprintf("the address is not usable all the same (%s): no address of %s is", e.State, name)
	}
	return e, nil
}

// upstreamNamed returns the upstream of a name, or an error that lists the names there are.
func (s *Server) upstreamNamed(name string) (*target, error) {
	all := s.policy.table.Load()
	if t := all.named(name); t != nil {
		return t, nil
	}
	var names []string
	for _, t := range all.targets {
		names = append(names, t.opts.Name)
	}
	return nil, fmt.Errorf("upstream %.100q: %w; there are: %s", name, ErrUnknownUpstream, strings.Join(names, ", "))
}

// explain adds to an error about an address which one it is, and which ones there are if it is unknown.
func (t *target) explain(addr netip.AddrPort, err error) error {
	err = fmt.Errorf("upstream %q, address %s: %w", t.opts.Name, addr, err)
	if !errors.Is(err, ErrUnknownAddress) {
		return err
	}
	var known []string
	for _, a := range t.set.Standings(time.Now()) {
		known = append(known, a.Addr.String())
	}
	if len(known) == 0 {
		return fmt.Errorf("%w; it has none now", err)
	}
	return fmt.Errorf("%w; it has: %s", err, strings.Join(known, ", "))
}

// ejection describes an address as of now.
func (t *target) ejection(addr netip.AddrPort) Ejection {
	e := Ejection{Upstream: t.opts.Name, Address: addr, State: "unknown"} // it is not in the DNS answer
	now := time.Now()
	for _, a := range t.set.Standings(now) {
		if t.set.Usable(a.Address, now) {
			e.Others++
		}
		if a.Addr == addr {
			_, e.Until = a.Manual(now)
			e.State, e.Active = string(a.State), max(a.Active()-a.Tag.(*endpoints).waiting.Load(), 0)
		}
	}
	return e
}
