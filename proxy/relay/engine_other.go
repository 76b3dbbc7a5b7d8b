//go:build !linux

package relay

import "errors"

const epollSupported = false

func startEpoll(Options) (engine, error) {
	return nil, errors.New("start relay: engine epoll needs Linux")
}
