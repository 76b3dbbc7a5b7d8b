package peer

import (
	"io"
	"net"

	"github.com/l4fwd/l4fwd/bench/sock"
)

// ServeIOCopy is the relay everybody writes first: two goroutines and io.Copy, which splices on its own.
func ServeIOCopy(listen, upstream string) error {
	if _, err := sock.RaiseFileLimit(); err != nil {
		return err
	}
	l, err := net.Listen("tcp4", listen)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			continue
		}
		go relay(c.(*net.TCPConn), upstream)
	}
}

func relay(client *net.TCPConn, upstream string) {
	defer client.Close()
	c, err := net.Dial("tcp4", upstream)
	if err != nil {
		return
	}
	up := c.(*net.TCPConn)
	defer up.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(up, client)
		_ = up.CloseWrite()
	}()
	_, _ = io.Copy(client, up)
	_ = client.CloseWrite()
	<-done
}
