package handoff

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// Giver is the old process's side. Its methods are called in the order of the protocol; after an error none but Abort is.
type Giver struct {
	*Channel
	enc     *batchEncoder
	unacked int // batches of connections that are not acknowledged yet
}

// Meet waits for the new process and returns what it says of itself. The error explains if it reads no state of this version.
func (g *Giver) Meet() (h Hello, err error) {
	m, err := g.expect(KindHello, StartTimeout)
	if err != nil {
		return h, err
	}
	m.CloseFDs()
	if err := json.Unmarshal(m.Payload, &h); err != nil {
		return h, fmt.Errorf("read hello: %w", err)
	}
	return h, h.checkVersions()
}

// Offer sends the state and the listening sockets, whose descriptors stay the caller's, and waits until the new process has
// loaded its configuration and is ready for the connections.
func (g *Giver) Offer(s *State) error {
	payload, fds, err := packState(s)
	if err != nil {
		return err
	}
	for len(fds) > MaxDescriptors { // those that one message cannot carry go before it, in order
		if err := g.Send(KindBatch, nil, fds[:MaxDescriptors], StillTimeout); err != nil {
			return err
		}
		if err := g.acked(); err != nil {
			return err
		}
		fds = fds[MaxDescriptors:]
	}
	if err := g.Send(KindState, payload, fds, StartTimeout); err != nil {
		return err
	}
	return g.await(KindReady, ReadyTimeout)
}

// packState returns the state as it is sent, and the descriptors of its sockets, in order.
func packState(s *State) (payload []byte, fds []int, err error) {
	s.Version = Version
	if s.Wall == 0 {
		s.Wall, s.Clock = time.Now().UnixNano(), Now()
	}
	for i := range s.Sockets {
		fds = append(fds, s.Sockets[i].FD)
	}
	if payload, err = json.Marshal(s); err != nil {
		return nil, nil, fmt.Errorf("write state: %w", err)
	}
	return payload, fds, nil
}

// Connection hands one connection over; its descriptors stay the caller's. It is sent with others, at the latest by Finish.
func (g *Giver) Connection(c *Conn) error {
	if g.enc == nil {
		g.enc = newBatchEncoder()
	}
	if !g.enc.fits(c) {
		if err := g.flush(); err != nil {
			return err
		}
	}
	g.enc.add(c)
	return nil
}

// flush sends the connections that wait. They are written while the new process works on those before: all stands still meanwhile, so the
// next batch is there when it is done. Descriptors under way count against the limit of open files (ETOOMANYREFS, unix(7)), so there are two
// batches at a time.
func (g *Giver) flush() error {
	payload, fds, err := g.enc.take()
	if err != nil || payload == nil {
		return err
	}
	if err := g.settle(1); err != nil {
		return err
	}
	if err := g.Send(KindBatch, payload, fds, StillTimeout); err != nil {
		return err
	}
	g.unacked++
	return nil
}

// settle waits until no more than so many batches are not acknowledged.
func (g *Giver) settle(left int) error {
	for ; g.unacked > left; g.unacked-- {
		if err := g.acked(); err != nil {
			return err
		}
	}
	return nil
}

// acked waits for one acknowledgement.
func (g *Giver) acked() error {
	return g.await(KindAck, StillTimeout)
}

// Finish sends what is left and the final figures, and waits until the new process has all of it in place.
func (g *Giver) Finish(f *Final) error {
	if g.enc != nil {
		if err := g.flush(); err != nil {
			return err
		}
	}
	if err := g.settle(0); err != nil {
		return err
	}
	payload, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write final: %w", err)
	}
	if err := g.Send(KindFinal, payload, nil, StillTimeout); err != nil {
		return err
	}
	return g.await(KindAdopted, StillTimeout)
}

// Commit gives everything away. nil: it is the new process's. After an error the caller ends the new process, waits for its end,
// and asks Taken: it may have taken over in the last moment.
func (g *Giver) Commit() error {
	if err := g.Send(KindCommit, nil, nil, StillTimeout); err != nil {
		return err
	}
	return g.await(KindTaken, StillTimeout)
}

// Taken reads what the new process, which has ended, left in the channel, and reports whether it had taken over.
func (g *Giver) Taken() bool {
	for {
		m, err := g.receive(time.Second)
		m.CloseFDs()
		if err != nil {
			return false
		}
		if m.Kind == KindTaken {
			return true
		}
	}
}

// Abort tells the new process that this one goes on itself.
func (g *Giver) Abort() {
	_ = g.Send(KindAbort, nil, nil, time.Second) // it may have ended already
	_ = g.Close()
}

// Ended reports whether an error of a hand-over means that the other process has closed its end. One that ends with a message unread
// resets the channel; a message to one that has ended breaks the pipe: unix(7).
func Ended(err error) bool {
	for _, e := range []error{io.EOF, io.ErrUnexpectedEOF, os.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
