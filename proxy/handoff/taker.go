package handoff

import (
	"encoding/json"
	"fmt"
	"os"
)

// Taker is the new process's side. Its methods are called in the order of the protocol.
type Taker struct {
	*Channel
}

// NewTaker takes over the inherited end of the pair.
func NewTaker(f *os.File) (*Taker, error) {
	c, err := newChannel(f, maxPayload)
	if err != nil {
		return nil, err
	}
	return &Taker{Channel: c}, nil
}

// Greet says who this process is and returns the state of the old one. Who calls owns the descriptors in it.
func (t *Taker) Greet(build string) (*State, error) {
	hello, err := json.Marshal(Hello{Oldest: OldestRead, Newest: Version, Build: build, PID: os.Getpid()})
	if err != nil {
		return nil, err
	}
	if err := t.Send(KindHello, hello, nil, StartTimeout); err != nil {
		return nil, err
	}
	return greeted(func() (Message, error) { return t.Receive(StartTimeout) }, func() error { return t.Send(KindAck, nil, nil, StillTimeout) })
}

// greeted reads the state from messages. Those before it are acknowledged.
func greeted(next func() (Message, error), acknowledge func() error) (*State, error) {
	var fds []int
	for {
		m, err := next()
		if err != nil {
			closeAll(fds)
			return nil, fmt.Errorf("wait for state: %w", err)
		}
		fds = append(fds, m.FDs...)
		switch m.Kind {
		case KindBatch: // more listening sockets than one message carries
			if err := acknowledge(); err != nil {
				closeAll(fds)
				return nil, err
			}
		case KindState:
			return readState(m.Payload, fds)
		case KindAbort:
			closeAll(fds)
			return nil, ErrAborted
		default:
			closeAll(fds)
			return nil, fmt.Errorf("wait for state: %s came instead", m.Kind)
		}
	}
}

// readState reads a state whose sockets are fds, in order.
func readState(b []byte, fds []int) (*State, error) {
	s := &State{}
	err := json.Unmarshal(b, s)
	switch {
	case err != nil:
		err = fmt.Errorf("read state: %w", err)
	case s.Version < OldestRead || s.Version > Version:
		err = fmt.Errorf("the old process writes version %d of the state, this one reads %d to %d", s.Version, OldestRead, Version)
	case len(s.Sockets) != len(fds):
		err = fmt.Errorf("read state: %d sockets are described, %d came", len(s.Sockets), len(fds))
	}
	if err != nil {
		closeAll(fds)
		return nil, err
	}
	for i := range s.Sockets {
		s.Sockets[i].FD = fds[i]
	}
	return s, nil
}

// Refuse tells the old process why this one will not take over.
func (t *Taker) Refuse(why error) {
	_ = t.Send(KindRefuse, []byte(why.Error()), nil, StillTimeout) // it may have ended already
	_ = t.Close()
}

// Ready says that the connections may come, and calls adopt with each batch of them; adopt owns their descriptors. It returns
// the final figures. An error that Ended recognizes means that the old process has died: what adopt was given has no other
// owner then.
func (t *Taker) Ready(adopt func([]Conn) error) (*Final, error) {
	if err := t.Send(KindReady, nil, nil, StartTimeout); err != nil {
		return nil, err
	}
	return connections(func() (Message, error) { return t.Receive(ReadyTimeout) }, t.acknowledge, adopt)
}

// connections reads connections and the final figures from messages. acknowledge and adopt are called with each batch.
func connections(next func() (Message, error), acknowledge func() error, adopt func([]Conn) error) (*Final, error) {
	dec := newBatchDecoder()
	for {
		m, err := next()
		if err != nil {
			return nil, fmt.Errorf("wait for connections: %w", err)
		}
		switch m.Kind {
		case KindBatch:
			conns, err := dec.decode(m.Payload, m.FDs)
			if err == nil {
				err = takeBatch(conns, acknowledge, adopt)
			}
			if err != nil {
				return nil, err
			}
		case KindFinal:
			m.CloseFDs()
			f := &Final{}
			if err := json.Unmarshal(m.Payload, f); err != nil {
				return nil, fmt.Errorf("read final: %w", err)
			}
			return f, nil
		case KindAbort:
			m.CloseFDs()
			return nil, ErrAborted
		default:
			m.CloseFDs()
			return nil, fmt.Errorf("wait for connections: %s came instead", m.Kind)
		}
	}
}

// takeBatch asks for a further batch, which the old process sends while this one is adopted. If the old one has died by then, this
// batch is adopted all the same, and another one that it had sent: nobody else has them. What is received after those tells its end.
func takeBatch(conns []Conn, acknowledge func() error, adopt func([]Conn) error) error {
	lost := acknowledge()
	if lost != nil && !Ended(lost) {
		for i := range conns {
			conns[i].CloseFDs()
		}
		return lost
	}
	return adopt(conns)
}

// acknowledge says that the next batch may come.
func (t *Taker) acknowledge() error { return t.Send(KindAck, nil, nil, StillTimeout) }

// Adopted says that all is in place, and waits for the word to go. On nil everything is this process's, and the old one has been
// told so: the caller lets the loops run.
func (t *Taker) Adopted() error {
	if err := t.Send(KindAdopted, nil, nil, StillTimeout); err != nil {
		return err
	}
	if err := t.await(KindCommit, StartTimeout); err != nil {
		return err
	}
	// An old process that dies before it reads this has given everything away all the same.
	_ = t.Send(KindTaken, nil, nil, StillTimeout)
	return nil
}
