package wire

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSealAndOpen(t *testing.T) {
	h := Header{Op: Stream, Up: 64, Down: 200, Every: 5 * time.Millisecond, Seq: 1 << 50, Stamp: 77}
	for _, size := range []int{HeaderSize, HeaderSize + 8, 1024} {
		msg := make([]byte, size)
		Seal(msg, h)
		got, err := Open(msg)
		require.NoError(t, err)
		assert.Equal(t, h, got)
	}
}

func TestOpenCatchesWhatABrokenRelayDelivers(t *testing.T) {
	two := make([]byte, 256)
	Seal(two[:128], Header{Op: Exchange, Up: 128, Down: 128, Seq: 1})
	Seal(two[128:], Header{Op: Exchange, Up: 128, Down: 128, Seq: 2})
	swapped := append([]byte{}, two[:128]...)
	swapped[126], swapped[127] = swapped[127], swapped[126]
	for name, b := range map[string][]byte{
		"a lost byte":       two[1:129],
		"a truncated one":   two[:20],
		"two halves mixed":  append(append([]byte{}, two[:64]...), two[192:]...),
		"two bytes swapped": swapped,
		"zeroes":            make([]byte, 128),
	} {
		_, err := Open(b)
		assert.Error(t, err, name)
	}
}

func TestNowCountsUp(t *testing.T) {
	a := Now()
	time.Sleep(2 * time.Millisecond)
	assert.GreaterOrEqual(t, Now()-a, uint64(2*time.Millisecond))
}
