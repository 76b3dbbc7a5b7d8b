package ring

import (
	"iter"
	"sync/atomic"
	"syscall"
)

// What follows is for tests that stand between a Ring and the kernel.

// Enter makes the call c, as a Ring does by itself.
func Enter(r *Ring, c Call) (int, syscall.Errno) { return enter(r, c) }

// Unsubmitted are the requests in the queue that the kernel has not taken. They may be changed.
func (r *Ring) Unsubmitted() iter.Seq[*SQE] {
	return func(yield func(*SQE) bool) {
		for n := atomic.LoadUint32(r.sqHead); n != r.tail; n++ {
			if !yield(&r.sqes[n&r.sqMask]) {
				return
			}
		}
	}
}

// Rewrite changes the result of the first completion of a request that is waiting to be looked at. It returns false if
// there is none.
func (r *Ring) Rewrite(data uint64, res int32) bool {
	for n := *r.cqHead; n != atomic.LoadUint32(r.cqTail); n++ {
		if q := &r.cqes[n&r.cqMask]; q.Data == data {
			q.Res = res
			return true
		}
	}
	return false
}
