package ring

// The kernel's layouts and numbers, linux/io_uring.h. Only what a relay uses.

// SQE is a request, struct io_uring_sqe. What Addr points to must stay alive and in place until the kernel is done
// with it; for what completes within Enter that is until Enter returned and the request was Taken.
type SQE struct {
	Op      uint8
	Flags   uint8
	Prio    uint16 // flags of accept, recv and send
	FD      int32
	Off     uint64 // accept: address of the length; connect: the length
	Addr    uint64 // memory, or the Data of the request to cancel
	Len     uint32
	OpFlags uint32
	Data    uint64 // comes back in the CQE
	Group   uint16 // of buffers, with SelectBuffer
	_       uint16
	Limit   uint32 // of a recv with RecvMulti: it ends with the receive, of Len at most, that reaches it; see LimitedRecv
	_       [2]uint64
}

// CQE is a completion, struct io_uring_cqe.
type CQE struct {
	Data  uint64
	Res   int32 // result, or a negated errno
	Flags uint32
}

// More reports whether further completions of the same request follow.
func (c *CQE) More() bool { return c.Flags&cqeMore != 0 }

// Buffer returns the number of the provided buffer that the completion brings, which is then the caller's to put back.
func (c *CQE) Buffer() (id uint16, ok bool) { return uint16(c.Flags >> 16), c.Flags&cqeBuffer != 0 }

// Operations.
const (
	OpNop         = 0
	OpPollAdd     = 6
	OpAccept      = 13
	OpAsyncCancel = 14
	OpConnect     = 16
	OpClose       = 19
	OpSend        = 26
	OpRecv        = 27
)

// Flags of SQEs.
const (
	SelectBuffer = 1 << 5 // the kernel takes a buffer of Group when there is something to receive
	SkipSuccess  = 1 << 6 // no CQE where the request did all it was asked; kernel 5.17

	PollMulti       = 1 << 0 // Len of a poll: it stays, edge-triggered; 5.13
	PollFirst       = 1 << 0 // Prio of a recv: nothing is expected to be there yet; 5.19
	RecvMulti       = 1 << 1 // Prio of a recv: it stays; 6.0
	AcceptPollFirst = 1 << 2 // Prio of an accept, the same; 6.10
)

const (
	setupCQSize       = 1 << 3
	setupSubmitAll    = 1 << 7  // 5.18: one request that fails does not stop the submission
	setupSingleIssuer = 1 << 12 // 6.0
	setupDeferTaskrun = 1 << 13 // 6.1: completions are made when the owner asks for them
	setupNoSQArray    = 1 << 16 // 6.6

	enterGetEvents      = 1 << 0
	enterExtArg         = 1 << 3 // 5.11
	enterRegisteredRing = 1 << 4 // 5.18

	registerProbe    = 8
	registerRingFDs  = 20 // 5.18
	registerPbufRing = 22 // 5.19
	unregisterPbufs  = 23

	sqCQOverflow = 1 << 1 // completions wait in the kernel for room

	cqeBuffer = 1 << 0
	cqeMore   = 1 << 1

	mapRings = 0
	mapSQEs  = 0x10000000

	probeSupported = 1 << 0
)

type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32
	_                                                   uint64
}

type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, _ uint32
	_                                                   uint64
}

type params struct {
	sqEntries, cqEntries, flags, _, _, features, _ uint32
	_                                              [3]uint32
	sq                                             sqOffsets
	cq                                             cqOffsets
}

// extArg is struct io_uring_getevents_arg.
type extArg struct {
	sigmask   uint64
	sigmaskSz uint32
	minWait   uint32
	ts        uint64
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	addr    uint64
	entries uint32
	group   uint16
	flags   uint16
	_       [3]uint64
}

// bufEntry is struct io_uring_buf. The tail of the ring lies over the last two bytes of the first one.
type bufEntry struct {
	addr uint64
	len  uint32
	id   uint16
	_    uint16
}

// rsrcUpdate is struct io_uring_rsrc_update.
type rsrcUpdate struct {
	offset, _ uint32
	data      uint64
}
