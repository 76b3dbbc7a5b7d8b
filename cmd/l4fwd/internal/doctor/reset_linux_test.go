package doctor_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/doctor"
)

// A daemon that refuses a client resets the connection as soon as it is made, at times before the client's connect returns: then connect
// fails with ECONNRESET. The doctor said that packets were dropped on the way, at random. Now its verdict is the same, whenever the reset
// comes. Several connections are made beside each other, until some met the reset in connect.
func TestAResetBeforeConnectReturnsIsNoMissingAnswer(t *testing.T) {
	t.Parallel()
	through := resetting(t)
	o := doctor.Options{Through: &doctor.Target{Host: "127.0.0.1", Port: through.Port()}}
	for port := range uint16(16) {
		o.Targets = append(o.Targets, doctor.Target{Host: name, Port: 1000 + port})
	}
	early := 0
	for try := 0; early < 3; try++ {
		require.Less(t, try, 300, "connect never met the reset")
		r := doctor.Run(context.Background(), o)
		require.True(t, strings.HasPrefix(r.Verdict, "broken at: what forwards at "+through.String()+"; it cuts the connection at the ClientHello"), r.Verdict)
		for _, s := range r.Steps {
			if s.Kind != doctor.Connect {
				continue
			}
			require.Equal(t, doctor.OK, s.State, s.Evidence)
			if strings.Contains(s.Evidence, "reset at once") {
				early++
			}
		}
	}
}

// resetting is where each connection is reset as soon as it is accepted.
func resetting(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	raw, err := l.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { // connections inherit it
		err = unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}))
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).AddrPort()
}
