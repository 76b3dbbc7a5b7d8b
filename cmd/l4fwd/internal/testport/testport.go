// Package testport gives tests addresses to listen on. Only tests import it.
package testport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// given are the ports that Free has returned: it returns none twice.
var given sync.Map

// Free returns an address of 127.0.0.1 that was free a moment ago, and that nothing else takes: the port lies below those
// that the kernel gives to connections and to listeners of port 0 (32768 and up on Linux, 49152 on macOS).
func Free(t *testing.T) string {
	t.Helper()
	for range 1000 {
		port := 10000 + rand.IntN(20000)
		if _, again := given.LoadOrStore(port, true); again {
			continue
		}
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port of 127.0.0.1 between 10000 and 30000 in 1000 tries")
	return ""
}
