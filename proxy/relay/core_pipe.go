package relay

// pipe is a kernel pipe for splicing. Only an empty one may be given to another half.
type pipe struct {
	r, w int32
	size int32 // capacity in bytes
	next *pipe
}
