package handoff

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// MaxDescriptors is how many descriptors a message may carry: SCM_MAX_FD, unix(7). One more is refused with EINVAL.
	MaxDescriptors = 253
	// maxPayload bounds a message: a state with thousands of addresses and counters has a few megabytes.
	maxPayload = 32 << 20
	// maxAnswer bounds what the old process reads of the new one.
	maxAnswer = 64 << 10

	headerSize = 8 // kind, 0, descriptors (2 bytes), length (4 bytes); big-endian
)

// Message is one message. Who receives it owns the descriptors, which are closed on exec. The payload is valid until the next one.
type Message struct {
	Kind    Kind
	Payload []byte
	FDs     []int
}

// CloseFDs closes the descriptors of a message that is not used.
func (m *Message) CloseFDs() {
	closeAll(m.FDs)
	m.FDs = nil
}

// closeAll closes descriptors. What close says is of no use: nobody reads or writes them any more.
func closeAll(fds []int) {
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
}

// Channel is one end of the pair. It is for one goroutine at a time.
type Channel struct {
	c     *net.UnixConn
	limit int // of a payload that is received
	buf   []byte

	// At is called before each message is sent and after each was received; an error from it ends the hand-over there. Tests
	// stop processes and close sockets in it. nil: not called.
	At func(sent bool, k Kind) error
}

// newChannel takes over f, one end of a pair of stream sockets.
func newChannel(f *os.File, limit int) (*Channel, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("the socket of the hand-over: %w", err)
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, errors.New("the descriptor of the hand-over is no Unix socket")
	}
	return &Channel{c: u, limit: limit}, nil
}

// Close closes the channel.
func (c *Channel) Close() error { return c.c.Close() }

// at calls At.
func (c *Channel) at(sent bool, k Kind) error {
	if c.At == nil {
		return nil
	}
	return c.At(sent, k)
}

// Send sends a message with at most MaxDescriptors descriptors, which stay the caller's.
func (c *Channel) Send(k Kind, payload []byte, fds []int, limit time.Duration) error {
	if err := c.at(true, k); err != nil {
		return err
	}
	if len(fds) > MaxDescriptors || len(payload) > maxPayload {
		return fmt.Errorf("send %s: %d descriptors and %d bytes are too much for a message", k, len(fds), len(payload))
	}
	_ = c.c.SetWriteDeadline(time.Now().Add(limit))
	head := header(k, payload, fds)
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	// Descriptors travel with the first byte of a header: unix(7). A stream socket takes eight bytes whole or not at all.
	if _, _, err := c.c.WriteMsgUnix(head[:], rights, nil); err != nil {
		return fmt.Errorf("send %s: %w", k, err)
	}
	if len(payload) == 0 {
		return nil
	}
	if _, err := c.c.Write(payload); err != nil {
		return fmt.Errorf("send %s: %w", k, err)
	}
	return nil
}

// Receive returns the next message. io.EOF, wrapped, means that the other process has closed its end: it has ended.
func (c *Channel) Receive(limit time.Duration) (Message, error) {
	m, err := c.receive(limit)
	if err == nil {
		err = c.at(false, m.Kind)
	}
	if err != nil {
		m.CloseFDs()
	}
	return m, err
}

// receive reads one message. After an error the message has the descriptors that came: the caller closes them.
func (c *Channel) receive(limit time.Duration) (m Message, err error) {
	_ = c.c.SetReadDeadline(time.Now().Add(limit))
	var head [headerSize]byte
	rights := make([]byte, syscall.CmsgSpace(MaxDescriptors*4))
	n, rn, flags, _, err := c.c.ReadMsgUnix(head[:], rights) // with MSG_CMSG_CLOEXEC
	if rn > 0 {
		if m.FDs, err = descriptors(rights[:rn], err); err != nil {
			return m, err
		}
	}
	switch {
	case err != nil:
		return m, fmt.Errorf("receive: %w", err)
	case n == 0:
		return m, fmt.Errorf("receive: %w", io.EOF)
	case flags&syscall.MSG_CTRUNC != 0:
		return m, errors.New("receive: the descriptors of a message were cut off: the limit of open files is reached")
	}
	if _, err := io.ReadFull(c.c, head[n:]); err != nil {
		return m, fmt.Errorf("receive: %w", err)
	}
	var want, size int
	if m.Kind, want, size, err = readHeader(head, c.limit); err != nil {
		return m, err
	}
	if want != len(m.FDs) {
		return m, fmt.Errorf("receive %s: %d descriptors came, %d were announced", m.Kind, len(m.FDs), want)
	}
	// While all stands still there are many large ones: memory is taken once.
	if int(size) > cap(c.buf) {
		c.buf = make([]byte, size+size/4)
	}
	m.Payload = c.buf[:size]
	if _, err := io.ReadFull(c.c, m.Payload); err != nil {
		return m, fmt.Errorf("receive %s: %w", m.Kind, err)
	}
	return m, nil
}

// descriptors returns those of control messages; err is kept.
func descriptors(b []byte, err error) ([]int, error) {
	all, parsed := syscall.ParseSocketControlMessage(b)
	if parsed != nil {
		return nil, fmt.Errorf("receive: %w", parsed)
	}
	var fds []int
	for i := range all {
		got, parsed := syscall.ParseUnixRights(&all[i])
		if parsed != nil {
			continue // credentials, which nobody asked for
		}
		fds = append(fds, got...)
	}
	return fds, err
}

// expect receives a message of the kind wanted. A refusal or an abort in its place is an error of its own.
func (c *Channel) expect(want Kind, limit time.Duration) (Message, error) {
	m, err := c.Receive(limit)
	switch {
	case err != nil:
		return m, fmt.Errorf("wait for %s: %w", want, err)
	case m.Kind == want:
		return m, nil
	case m.Kind == KindRefuse:
		m.CloseFDs()
		return m, &RefusedError{printable(m.Payload)}
	case m.Kind == KindAbort:
		m.CloseFDs()
		return m, ErrAborted
	}
	m.CloseFDs()
	return m, fmt.Errorf("wait for %s: %s came instead", want, m.Kind)
}

// await is expect for a message that says all by its kind.
func (c *Channel) await(want Kind, limit time.Duration) error {
	m, err := c.expect(want, limit)
	m.CloseFDs()
	return err
}

// printable is foreign text, bounded and without control characters.
func printable(b []byte) string {
	r := []rune(string(b[:min(len(b), 2000)]))
	for i, c := range r {
		if c < ' ' && c != '\n' {
			r[i] = ' '
		}
	}
	return string(r)
}

// header returns the header of a message.
func header(k Kind, payload []byte, fds []int) (head [headerSize]byte) {
	head[0] = byte(k)
	binary.BigEndian.PutUint16(head[2:], uint16(len(fds)))
	binary.BigEndian.PutUint32(head[4:], uint32(len(payload)))
	return head
}

// readHeader returns what header wrote. limit is that of the payload.
func readHeader(head [headerSize]byte, limit int) (k Kind, fds, size int, err error) {
	k, fds = Kind(head[0]), int(binary.BigEndian.Uint16(head[2:]))
	n := binary.BigEndian.Uint32(head[4:])
	switch {
	case head[1] != 0 || fds > MaxDescriptors:
		return k, 0, 0, fmt.Errorf("receive %s: %d descriptors are announced, more than a message has", k, fds)
	case int64(n) > int64(limit):
		return k, 0, 0, fmt.Errorf("receive %s: %d bytes are announced, more than %d", k, n, limit)
	}
	return k, fds, int(n), nil
}
