package relay

// side names one of the two ends of a connection.
type side uint8

const (
	client   side = 0
	upstream side = 1
)

// other returns the other end.
func (s side) other() side { return s ^ 1 }

// halfState is the state of one direction, from its source to its destination. Bytes that were read but not yet
// delivered are held by the half: in a buffer or in a pipe.
//
//	        FIN read            drained
//	open ──────────────► fin ────────────► shut     (FIN passed on)
//	 │ │   source reset
//	 │ └────────────────► cut                       (destination is reset once drained)
//	 │ destination gone (from any but shut)
//	 └──────────────────► dead                      (source is reset once the other half is done)
type halfState uint8

const (
	halfOpen halfState = iota
	halfFIN            // the source's FIN was read; bytes may still be held
	halfShut           // all was delivered, and the FIN after it
	halfCut            // the source was reset; bytes may still be held
	halfDead           // the destination is gone, nothing is delivered any more
	halfStates
)

// halfEvent is what can happen to a half.
type halfEvent uint8

const (
	eventFIN     halfEvent = iota // a read from the source returned its end
	eventReset                    // the source was reset
	eventDrained                  // the half holds no byte
	eventBroken                   // the destination does not take bytes any more
	halfEvents
)

// halfNext is the transition table of a half. Rows are states, columns events.
var halfNext = [halfStates][halfEvents]halfState{
	//          FIN       reset     drained   broken
	halfOpen: {halfFIN, halfCut, halfOpen, halfDead},
	halfFIN:  {halfFIN, halfFIN, halfShut, halfDead}, // after its FIN a source has nothing more to lose
	halfShut: {halfShut, halfShut, halfShut, halfShut},
	halfCut:  {halfCut, halfCut, halfCut, halfDead},
	halfDead: {halfDead, halfDead, halfDead, halfDead},
}

// ending is what the states of both halves ask for.
type ending uint8

const (
	endNot           ending = iota // go on
	endClose                       // both ends are done: close them
	endResetClient                 // close the upstream; reset the client once it has acknowledged what it was sent
	endResetUpstream               // the same the other way round
)

// endingOf judges a connection by its halves. A cut half counts only once it is drained: what was read before a reset is
// delivered before the reset is.
func endingOf(up, down halfState, upHeld, downHeld bool) ending {
	switch {
	case down == halfCut && !downHeld:
		if up == halfCut {
			return endClose // both ends are gone
		}
		return endResetClient
	case up == halfCut && !upHeld:
		return endResetUpstream
	case up == halfDead && down == halfDead:
		return endClose
	case up == halfDead && down == halfShut:
		return endResetClient // what it sent was lost, and it must know
	case down == halfDead && up == halfShut:
		return endResetUpstream
	case up == halfShut && down == halfShut:
		return endClose
	}
	return endNot
}

// half is one direction of a connection, identified by its source.
type half struct {
	hold    *buffer // bytes read and not yet delivered; nil: none
	pipe    *pipe   // for splicing; owned while not nil
	inPipe  int32   // bytes in it
	sending int32   // bytes in a send that the kernel was asked for and that is not known to have succeeded
	streak  uint8   // large reads in a row (copying) or small ones (splicing)
	splice  bool    // the half is in bulk and goes through the pipe
	state   halfState
	bulk    bulk   // how far it is trusted with memory
	bytes   uint64 // delivered
}

// bulk is how far a half is trusted with memory.
type bulk uint8

const (
	bulkNone    bulk = iota // no large read yet
	bulkUnknown             // small buffers: its destination has not acknowledged much
	bulkProved
)

// held reports whether bytes were read that are not known to be delivered.
func (h *half) held() bool { return h.hold != nil || h.inPipe > 0 || h.sending > 0 }

// holding is how many bytes the half has in a buffer.
func (h *half) holding() int {
	if h.hold == nil {
		return 0
	}
	return len(h.hold.bytes())
}
