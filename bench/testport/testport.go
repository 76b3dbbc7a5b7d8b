// Package testport finds ports to listen on for tests, for the bench and for the demo. They lie below those that the kernel gives to
// connections and to listeners of port 0 (32768 and up on Linux, 49152 on macOS), so that no connection takes one meanwhile.
package testport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The range, and how many ports are tried.
const (
	first = 10000
	last  = 29999
	tries = 1000
)

// Listen listens at a random port of host, an IP address. The caller closes the listener.
func Listen(host string) (net.Listener, error) {
	var err error
	for range tries {
		var ln net.Listener
		if ln, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(first+rand.IntN(last-first+1)))); err == nil {
			return ln, nil
		}
	}
	return nil, fmt.Errorf("find a free port of %s between %d and %d: %w", host, first, last, err)
}

// given are the ports that Find has returned: it returns none twice.
var given sync.Map

// Find returns an address of host, an IP address, where nothing listened a moment ago. Each has a port of its own.
func Find(host string) (string, error) {
	for range tries {
		ln, err := Listen(host)
		if err != nil {
			return "", err
		}
		addr := ln.Addr().(*net.TCPAddr)
		_ = ln.Close() // nothing was accepted
		if _, again := given.LoadOrStore(addr.Port, true); !again {
			return addr.String(), nil
		}
	}
	return "", fmt.Errorf("find a port between %d and %d that was not found before", first, last)
}

// TB is what Free needs of a test.
type TB interface {
	Helper()
	Fatal(args ...any)
}

// Free is Find at 127.0.0.1 for a test.
func Free(t TB) string {
	t.Helper()
	addr, err := Find("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
