package relay

const (
	// pipesMax is how many pipes of pipeSize all loops may have together. That keeps them below fs.pipe-user-pages-soft,
	// 64 MiB a user by default, past which an unprivileged process gets pipes of one or two pages: pipe(7).
	pipesMax = 48
	// pipeSize is what a pipe is asked to hold, in bytes: fs.pipe-max-size allows 1 MiB by default. Half of it costs a
	// tenth more CPU a byte in `make bench`, a quarter a third more.
	pipeSize  = 1 << 20
	pipeLeast = 64 << 10 // a pipe that holds less is no gain over copying
	pipesEach = 2        // a loop has at least so many, smaller ones if need be: one for each direction
)

// pipe is a kernel pipe for splicing. Only an empty one may be given to another half.
type pipe struct {
	r, w int32
	size int32 // capacity in bytes
	next *pipe
}

// pipeShare returns how many pipes each of some loops may have, and of what size in bytes. With more than 24 loops the pipes
// are smaller rather than more, and with more than 384 there are none, so that all together stay below the limit of the kernel.
func pipeShare(loops int) (pipes, size int) {
	pipes, size = max(pipesMax/loops, pipesEach), pipeSize
	for size >= pipeLeast && loops*pipes*size > pipesMax*pipeSize {
		size /= 2
	}
	if size < pipeLeast {
		return 0, 0
	}
	return pipes, size
}
