package handoff

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
)

const (
	batchConns = 100
	batchBytes = 256 << 10 // of held bytes
)

// eachFD calls f with each descriptor of a connection.
func (c *Conn) eachFD(f func(fd *int)) {
	f(&c.Near.FD)
	f(&c.Far.FD)
	for _, h := range []*Half{&c.Upload, &c.Download} {
		f(&h.PipeR)
		f(&h.PipeW)
	}
	for i := range c.Beside {
		f(&c.Beside[i].FD)
	}
}

// CloseFDs closes the descriptors of a connection that is not used.
func (c *Conn) CloseFDs() {
	c.eachFD(func(fd *int) {
		if *fd > 0 {
			closeAll([]int{*fd})
		}
		*fd = 0
	})
}

// weight returns how many descriptors and bytes a connection brings.
func (c *Conn) weight() (fds, size int) {
	c.eachFD(func(fd *int) {
		if *fd > 0 {
			fds++
		}
	})
	return fds, len(c.Replay) + len(c.Upload.Held) + len(c.Download.Held)
}

// batchEncoder gathers connections. All batches are one stream of encoding/gob, so that the types are described once.
type batchEncoder struct {
	buf          bytes.Buffer
	enc          *gob.Encoder
	conns        []Conn
	fdCount      int
	bytesWaiting int
}

// newBatchEncoder returns the encoder of one channel: later batches do not repeat what the first has said of the types.
func newBatchEncoder() *batchEncoder {
	e := &batchEncoder{}
	e.enc = gob.NewEncoder(&e.buf)
	return e
}

// fits reports whether a connection may go with those that wait.
func (e *batchEncoder) fits(c *Conn) bool {
	fds, size := c.weight()
	return len(e.conns) == 0 || len(e.conns) < batchConns && e.fdCount+fds <= MaxDescriptors && e.bytesWaiting+size <= batchBytes
}

// add takes up a connection that fits.
func (e *batchEncoder) add(c *Conn) {
	fds, size := c.weight()
	e.conns = append(e.conns, *c)
	e.fdCount += fds
	e.bytesWaiting += size
}

// take returns the batch: each descriptor in it is replaced by its place in fds, plus 1. The payload is valid until the next call.
// It is nil if nothing waits.
func (e *batchEncoder) take() (payload []byte, fds []int, err error) {
	if len(e.conns) == 0 {
		return nil, nil, nil
	}
	for i := range e.conns {
		c := &e.conns[i]
		c.Beside = append([]Attempt(nil), c.Beside...) // the caller's stay as they are
		c.eachFD(func(fd *int) {
			if *fd > 0 {
				fds = append(fds, *fd)
				*fd = len(fds)
			}
		})
	}
	e.buf.Reset()
	if err := e.enc.Encode(e.conns); err != nil {
		return nil, nil, fmt.Errorf("write connections: %w", err)
	}
	clear(e.conns)
	e.conns, e.fdCount, e.bytesWaiting = e.conns[:0], 0, 0
	return e.buf.Bytes(), fds, nil
}

// batchDecoder reads what a batchEncoder wrote, in order.
type batchDecoder struct {
	src bytes.Reader
	dec *gob.Decoder
}

// newBatchDecoder returns the decoder of one channel.
func newBatchDecoder() *batchDecoder {
	d := &batchDecoder{}
	d.dec = gob.NewDecoder(&d.src)
	return d
}

// decode reads a batch with its descriptors. After an error the descriptors are closed, and the decoder is of no use any more.
func (d *batchDecoder) decode(b []byte, fds []int) (conns []Conn, err error) {
	d.src.Reset(b)
	if err = d.dec.Decode(&conns); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && d.src.Len() > 0 {
		err = errors.New("there is more in a batch than connections")
	}
	if err == nil {
		err = place(conns, fds)
	}
	if err != nil {
		closeAll(fds)
		// Not %w: an end of the bytes is no end of the other process.
		return nil, fmt.Errorf("read connections: %v", err)
	}
	return conns, nil
}

// place puts descriptors in the place of their numbers. Each must be used once.
func place(conns []Conn, fds []int) error {
	used := make([]bool, len(fds))
	n, bad := 0, 0
	for i := range conns {
		conns[i].eachFD(func(fd *int) {
			switch k := *fd; {
			case k == 0:
			case k < 0 || k > len(fds) || used[k-1]:
				bad++
			default:
				used[k-1] = true
				*fd = fds[k-1]
				n++
			}
		})
	}
	if bad > 0 || n != len(fds) {
		return fmt.Errorf("%d descriptors came, %d are used once", len(fds), n)
	}
	return nil
}
