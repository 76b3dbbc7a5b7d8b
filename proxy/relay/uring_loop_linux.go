package relay

import (
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
)

// uringLoop is one event loop of the io_uring engine. It is an epoll loop for connections in modeReady, and moves the
// bytes of the others, in modeRing, by requests: one system call a turn issues what the turn before asked for and
// waits for what is done. Its goroutine is locked to its thread, which is what the ring belongs to.
type uringLoop struct {
	loop
	ring         *ring.Ring
	in           *ring.Buffers // what receives fill; back with the kernel at the latest a turn after
	can          ring.Features
	addrs        connectAddrs    // of connect requests that the kernel has not taken yet
	sends        []sendRequest   // sends, in the order of their requests
	settledSends []settledHalf   // halves to look at after one of them
	needBuffer   []endRef        // receives that found no buffer
	cancelling   map[uint64]bool // cancelled requests of sockets that are closed already, by their Data
	live         int             // requests that the kernel has and will complete
	epollWatched bool            // the kernel watches the epoll instance
	noWait       bool            // the next turn is not to wait
	polled       bool            // the epoll instance has events
	grown        bool            // it is asked now and then whether there are more buffers than needed
	freezing     *standstill     // not nil: connections leave the ring, and none enters it
	entering     []entry         // connections of another process, which enter the ring once the loop turns
}

// endRef names an end of a connection, which may have ended since.
type endRef struct {
	slot, gen uint32
	s         side
}

const (
	ringBuffer = 16 << 10 // bytes that one receive brings at most

	// A receive that stays ends once it brought so many bytes, so that a burst for a reader that is slow is bounded. It
	// brings less than a buffer more; twice that, what is on its way and what came meanwhile, is bufferMax.
	ringLimit = bufferMax/2 - ringBuffer

	// A half-closed connection in modeRing has nothing under way at the end that was closed, and is looked at after this
	// time: in modeReady its resets are seen.
	ringNotice = 20 * time.Millisecond

	drainLimit = 2 * time.Second // how long the end of a loop waits for the kernel to let go of everything
)

// ringSize is what a loop asks for. Variables for the sake of tests, as is ringOpened, which is called on each loop before
// its ring issues anything.
var (
	ringSize = struct {
		requests    uint32 // a turn without another system call
		completions uint32 // that the kernel can make without another system call
		buffers     int    // for received bytes: more messages a turn wait for the next
		first       int    // of them, until there are so many messages
	}{4096, 16384, 256, 16}
	ringOpened = func(*uringLoop) {}
)

// connectAddrs are the addresses of connect requests. The kernel copies one when it takes the request (io_connect_prep), and until
// then it must stay where it is.
type connectAddrs struct {
	used []connectAddr // in the order of their requests
	free []*sockaddr
}

type connectAddr struct {
	request uint32
	*sockaddr
}

// settledHalf is a half whose send is settled and that needs a look.
type settledHalf struct {
	endRef
	short bool // not everything was taken
}

// sendRequest is a send that the kernel was asked for, without a completion where it succeeds: it is known to have succeeded
// once its request was taken and no completion says otherwise. It owns the memory until then. The send never waits
// (MSG_DONTWAIT), so that is the turn after at the latest.
type sendRequest struct {
	request uint32
	end     endRef // the half it belongs to, by its source
	len     int32
	res     int32   // len, or what the completion said
	id      uint16  // a provided buffer, if hold is nil
	hold    *buffer // or one of the half
}

// acceptData is the Data of call k of listener i; acceptListener and acceptIndex read them back.
func acceptData(i, k int) uint64 { return kindAccept.data(uint64(i)<<8 | uint64(k)) }

// acceptListener is the place in loop.lns that the data of an accept names.
func acceptListener(data uint64) int { return int(uint32(data) >> 8) }

// acceptIndex is which of the listener's calls the data of an accept names.
func acceptIndex(data uint64) int { return int(data & 0xff) }

// kind says what a completion is of. With side, tag, slot and generation it makes the Data of a request.
type kind uint64

const (
	kindNone    kind = iota // of no interest: a close, a cancellation
	kindRecv                // slot and generation
	kindConnect             // slot, generation and tag
	kindWatch               // slot and generation
	kindSend                // number of the request
	kindAccept              // number of the listener, and of the call in the lowest byte
	kindEpoll
	kindCancel kind = 8 // and the kind of what is cancelled

	kindShift = 60
	sideShift = 59
	tagShift  = 56
	tagMask   = 7
	genShift  = 24
	slotMask  = 1<<genShift - 1
)

// data makes the Data of a request of kind k.
func (k kind) data(v uint64) uint64 { return uint64(k)<<kindShift | v }

// connData makes the Data of a request for the end s of c.
func connData(k kind, c *conn, s side) uint64 {
	return uint64(k)<<kindShift | uint64(s)<<sideShift | uint64(c.ends[s].tag&tagMask)<<tagShift |
		uint64(c.gen)<<genShift | uint64(c.slot)
}
