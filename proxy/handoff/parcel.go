package handoff

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// A parcel is what a process leaves with the service manager for the process that is started after it has ended. It is one Unix
// socket, so that the service manager keeps one descriptor however many connections there are: systemd compares each new one
// with all that it has. Nobody sends to a parcel any more. Its queue holds one message with these descriptors:
//
//	a sealed memfd     the messages state, batch … and final, in the form of Channel
//	bags               Unix sockets in whose queues the descriptors of those messages wait, in order: 1 byte with at most 253 each
//
// A bag is full when its send buffer is. Descriptors in a queue count against the limit of open files of the user that sent them,
// unix(7). A parcel without final holds listening sockets only: the process that left it has died.

// Packer makes a parcel. It is for one goroutine. Close it once the parcel is made, or given up.
type Packer struct {
	text *os.File // the memfd
	w    *bufio.Writer
	enc  *batchEncoder
	bags []*bag
}

// bag is a pair of sockets; what is sent to one end waits at the other.
type bag struct{ in, out int }

// errBags is the error of a parcel of more than a million descriptors.
var errBags = errors.New("there are more descriptors than a parcel can hold")

// NewPacker begins a parcel.
func NewPacker() (*Packer, error) {
	text, err := newMemory("l4fwd-parcel")
	if err != nil {
		return nil, err
	}
	return &Packer{text: text, w: bufio.NewWriterSize(text, 64<<10)}, nil
}

// Offer puts the state and the listening sockets in; their descriptors stay the caller's. It comes first.
func (p *Packer) Offer(s *State) error {
	payload, fds, err := packState(s)
	if err != nil {
		return err
	}
	for ; len(fds) > MaxDescriptors; fds = fds[MaxDescriptors:] {
		if err := p.add(KindBatch, nil, fds[:MaxDescriptors]); err != nil {
			return err
		}
	}
	return p.add(KindState, payload, fds)
}

// Connection puts a connection in; its descriptors stay the caller's.
func (p *Packer) Connection(c *Conn) error {
	if p.enc == nil {
		p.enc = newBatchEncoder()
	}
	if !p.enc.fits(c) {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.enc.add(c)
	return nil
}

// flush writes the connections that are collected as one message, and does nothing if there are none.
func (p *Packer) flush() error {
	payload, fds, err := p.enc.take()
	if err != nil || payload == nil {
		return err
	}
	return p.add(KindBatch, payload, fds)
}

// Finish puts what is left and the final figures in.
func (p *Packer) Finish(f *Final) error {
	if p.enc != nil {
		if err := p.flush(); err != nil {
			return err
		}
	}
	payload, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write final: %w", err)
	}
	return p.add(KindFinal, payload, nil)
}

// add writes a message and puts its descriptors into a bag.
func (p *Packer) add(k Kind, payload []byte, fds []int) error {
	if len(payload) > maxPayload {
		return fmt.Errorf("pack %s: %d bytes are too much for a message", k, len(payload))
	}
	head := header(k, payload, fds)
	_, err := p.w.Write(head[:])
	if err == nil {
		_, err = p.w.Write(payload)
	}
	if err == nil && len(fds) > 0 {
		err = p.stow(fds)
	}
	if err != nil {
		return fmt.Errorf("pack %s: %w", k, err)
	}
	return nil
}

// stow puts descriptors into the last bag, or into a new one if that is full.
func (p *Packer) stow(fds []int) error {
	if n := len(p.bags); n > 0 {
		if full, err := p.bags[n-1].put(fds); !full {
			return err
		}
	}
	if len(p.bags) == MaxDescriptors-1 {
		return errBags
	}
	b, err := newBag()
	if err != nil {
		return err
	}
	p.bags = append(p.bags, b)
	full, err := b.put(fds)
	if full {
		return errors.New("the send buffer of a Unix socket takes no descriptor: raise net.core.wmem_default")
	}
	return err
}

// Seal completes the parcel. The caller owns it.
func (p *Packer) Seal() (*Sealed, error) {
	if err := p.w.Flush(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if err := sealMemory(p.text); err != nil {
		return nil, err
	}
	root, err := newBag()
	if err != nil {
		return nil, err
	}
	fds := []int{int(p.text.Fd())}
	for _, b := range p.bags {
		fds = append(fds, b.out)
	}
	full, err := root.put(fds)
	if full {
		err = errBags
	}
	if err != nil {
		root.close()
		return nil, fmt.Errorf("pack: %w", err)
	}
	return &Sealed{File: os.NewFile(uintptr(root.out), "parcel"), in: root.in}, nil
}

// Close frees what the packer has open. A sealed parcel has descriptors of its own.
func (p *Packer) Close() {
	_ = p.text.Close() // all is written, or given up
	for _, b := range p.bags {
		b.close()
	}
	p.bags = nil
}

// Sealed is a complete parcel.
type Sealed struct {
	File *os.File // to be given to the service manager

	in int // the end that nobody sends to any more; -1: closed
}

// Kept gives up this process's hold on the parcel and reports whether somebody else has one. If nobody has, the parcel is
// gone, and what is in it is the process's alone again.
func (s *Sealed) Kept() bool {
	_ = s.File.Close()
	kept := s.in >= 0 && !hungUp(s.in)
	s.Close()
	return kept
}

// Close gives up this process's hold on the parcel.
func (s *Sealed) Close() {
	_ = s.File.Close() // may be closed already
	if s.in >= 0 {
		closeAll([]int{s.in})
		s.in = -1
	}
}

// Parcel is a parcel as the process sees it that was given it. Its methods are those of Taker, but that nobody answers.
type Parcel struct {
	text *os.File
	r    *bufio.Reader
	bags []int
}

// OpenParcel opens a parcel and takes over f. What is in it can be read once.
func OpenParcel(f *os.File) (*Parcel, error) {
	defer f.Close()
	fds, err := takeOut(int(f.Fd()))
	if err == nil && len(fds) == 0 {
		err = errors.New("it is empty: a process that did not come up has read it before")
	}
	if err != nil {
		return nil, fmt.Errorf("open the parcel: %w", err)
	}
	p := &Parcel{text: os.NewFile(uintptr(fds[0]), "parcel"), bags: fds[1:]}
	if err := sealedMemory(p.text); err != nil {
		p.Close()
		return nil, fmt.Errorf("open the parcel: %w", err)
	}
	p.r = bufio.NewReaderSize(io.NewSectionReader(p.text, 0, 1<<62), 64<<10) // whoever wrote it left the offset at the end
	return p, nil
}

// next returns the next message. io.EOF means that there is none.
func (p *Parcel) next() (m Message, err error) {
	var head [headerSize]byte
	if _, err := io.ReadFull(p.r, head[:]); err != nil {
		return m, err
	}
	var size, count int
	if m.Kind, count, size, err = readHeader(head, maxPayload); err != nil {
		return m, err
	}
	m.Payload = make([]byte, size)
	if _, err := io.ReadFull(p.r, m.Payload); err != nil {
		return m, fmt.Errorf("unpack %s: %v", m.Kind, err) // not %w: the end of the parcel is no end of a message
	}
	if count == 0 {
		return m, nil
	}
	if m.FDs, err = p.draw(); err == nil && len(m.FDs) != count {
		m.CloseFDs()
		err = fmt.Errorf("unpack %s: %d descriptors came, %d were announced", m.Kind, len(m.FDs), count)
	}
	return m, err
}

// draw returns the descriptors of the next message.
func (p *Parcel) draw() ([]int, error) {
	for len(p.bags) > 0 {
		fds, err := takeOut(p.bags[0])
		if err != nil || len(fds) > 0 {
			return fds, err
		}
		closeAll(p.bags[:1]) // it is empty
		p.bags = p.bags[1:]
	}
	return nil, errors.New("unpack: descriptors are missing")
}

// Greet returns the state. Who calls owns the descriptors in it.
func (p *Parcel) Greet(string) (*State, error) {
	return greeted(p.next, func() error { return nil })
}

// Ready calls adopt with each batch of connections, and returns the final figures. Those of a process that has died are empty.
func (p *Parcel) Ready(adopt func([]Conn) error) (*Final, error) {
	f, err := connections(p.next, func() error { return nil }, adopt)
	if errors.Is(err, io.EOF) {
		return &Final{}, nil
	}
	return f, err
}

// Adopted does nothing: nobody waits for an answer.
func (p *Parcel) Adopted() error { return nil }

// Refuse closes what was not taken out.
func (p *Parcel) Refuse(error) { p.Close() }

// Close closes what was not taken out.
func (p *Parcel) Close() error {
	closeAll(p.bags)
	p.bags = nil
	return p.text.Close()
}
