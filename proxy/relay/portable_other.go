//go:build !linux

package relay

import (
	"context"
	"net"
	"time"
)

// ackGrace is how long a peer gets to acknowledge what it was sent where the kernel does not tell whether it has.
const ackGrace = 100 * time.Millisecond

// socketClosed is not known here.
func socketClosed(*net.TCPConn) bool { return false }

// peerDoesNotRead is not known here.
func peerDoesNotRead(*net.TCPConn) bool { return false }

// acknowledgementBy: the kernel does not tell here; keepalive finds a peer that is lost.
func acknowledgementBy(*net.TCPConn) (a acknowledgement) { return a }

// queuedFor is not known here.
func queuedFor(*net.TCPConn) int64 { return 0 }

// legBy: the kernel does not tell here.
func legBy(*Leg, *net.TCPConn) {}

// bindWithoutPort: the port is chosen by bind here, one for all destinations.
func bindWithoutPort(int) {}

// awaitAcked gives the peer some time.
func awaitAcked(ctx context.Context, _ *net.TCPConn, _ side) {
	select {
	case <-ctx.Done():
	case <-time.After(ackGrace):
	}
}
