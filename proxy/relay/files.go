package relay

// loopFiles are those of a loop itself: an epoll descriptor, an eventfd and, with uring, a ring.
const loopFiles = 3

// Files returns how many descriptors a relay has open without a connection, and how many its pipes may take besides. Each
// connection takes two, and one for each attempt to connect beside the first.
func Files(loops, listeners int) (always, pipes int) {
	share, _ := pipeShare(loops)
	return loops * (loopFiles + listeners), 2 * share * loops
}
