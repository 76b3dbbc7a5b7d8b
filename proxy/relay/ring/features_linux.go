package ring

import "golang.org/x/sys/unix"

// features are what kernels after 6.1 have, found out by asking for it.
type features struct {
	acceptPollFirst bool
}

// AcceptPollFirst reports whether an accept can wait before it tries, kernel 6.10.
func (r *Ring) AcceptPollFirst() bool { return r.features.acceptPollFirst }

// probe issues requests on no descriptor: a kernel that does not know a flag says so before it looks for the file.
func (f *features) probe(r *Ring) {
	q, _ := r.Next()
	q.Op, q.FD, q.Prio = OpAccept, -1, AcceptPollFirst
	_ = r.Wait(0, false)
	qs, _ := r.Completions()
	for _, q := range qs {
		f.acceptPollFirst = q.Res == -int32(unix.EBADF)
	}
	r.Done()
}
