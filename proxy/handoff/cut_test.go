package handoff

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// bothSides hands over, and returns the errors of both sides. All that was taken is closed.
func bothSides(t *testing.T, g *Giver, taker *Taker) (gave, took error) {
	t.Helper()
	given := make(chan error, 1)
	go func() {
		err := give(t, g, 3)
		g.Close()
		given <- err
	}()
	conns, state, _, took := serve(taker)
	taker.Close()
	gave = <-given
	for i := range conns {
		conns[i].CloseFDs()
	}
	if state != nil {
		for _, s := range state.Sockets {
			closeAll([]int{s.FD})
		}
	}
	return gave, took
}

var errCut = errors.New("cut by the test")

// cutAt has a channel send the first bytes of a message of 200 bytes in the place of the first one of a kind, and close.
func cutAt(t *testing.T, c *Channel, k Kind, length int) (reached *bool) {
	reached = new(bool)
	c.At = func(sent bool, at Kind) error {
		if !sent || at != k || *reached {
			return nil
		}
		*reached = true
		whole := append([]byte{byte(k), 0, 0, 0, 0, 0, 0, 200}, bytes.Repeat([]byte{' '}, 200)...)
		_, err := c.c.Write(whole[:length])
		require.NoError(t, err)
		c.Close()
		return errCut
	}
	return reached
}

// A message that is cut off, within its header or its payload, is the end of the other process, and nothing is taken. The last one,
// of 8 bytes, is written whole or not at all.
func TestACutMessageIsAnEnd(t *testing.T) {
	before := openFiles(t)
	for _, by := range []string{"old", "new"} {
		for _, k := range []Kind{KindHello, KindState, KindReady, KindBatch, KindFinal, KindAdopted, KindCommit, KindAck} {
			for _, length := range []int{1, headerSize - 1, headerSize, headerSize + 1, headerSize + 199} {
				t.Run(fmt.Sprintf("%s %s %d", by, k, length), func(t *testing.T) {
					g, taker := pair(t)
					cutting := g.Channel
					if by == "new" {
						cutting = taker.Channel
					}
					reached := cutAt(t, cutting, k, length)
					cutBy, seenBy := bothSides(t, g, taker)
					if !*reached { // the other side sends it
						require.NoError(t, cutBy)
						require.NoError(t, seenBy)
						return
					}
					if by == "new" {
						cutBy, seenBy = seenBy, cutBy
					}
					require.ErrorIs(t, cutBy, errCut)
					require.True(t, Ended(seenBy), "%v", seenBy)
				})
			}
		}
	}
	require.Less(t, openFiles(t), before+50, "what came of a cut message was closed")
}
