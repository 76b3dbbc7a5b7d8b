//go:build !linux

package relay

import "errors"

const epollSupported = false

// startUring and the others stand in for the engines that need Linux.
func startUring(Options) (engine, error) {
	return nil, errors.New("start relay: engine uring needs Linux")
}

// probeUring and provenUring return why io_uring cannot be used: always, here.
func probeUring(int) error { return errors.New("it needs Linux") }

// provenUring: see probeUring.
func provenUring(int) error { return errors.New("it needs Linux") }

// startEpoll: see startUring.
func startEpoll(Options) (engine, error) {
	return nil, errors.New("start relay: engine epoll needs Linux")
}
