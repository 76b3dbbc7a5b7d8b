package wire

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sealed(t *testing.T, name string, seq uint64) []byte {
	t.Helper()
	msg, err := NewHello(name)
	require.NoError(t, err)
	SealHello(msg, Header{Op: Exchange, Up: uint32(len(msg)), Down: 64, Seq: seq})
	return msg
}

func TestHelloCarriesAHeader(t *testing.T) {
	msg := sealed(t, "a.example", 7)
	assert.True(t, IsHello(msg))
	assert.Equal(t, len(msg), HelloSize(msg))
	assert.Zero(t, HelloSize(msg[:3]))
	h, err := OpenHello(msg)
	require.NoError(t, err)
	assert.Equal(t, Header{Op: Exchange, Up: uint32(len(msg)), Down: 64, Seq: 7}, h)
}

// TestHelloIsReal: crypto/tls reads the name from it, header or not.
func TestHelloIsReal(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	go func() {
		_, _ = near.Write(sealed(t, "a.example", 7))
		_, _ = io.Copy(io.Discard, near)
	}()
	defer far.Close()
	require.NoError(t, far.SetDeadline(time.Now().Add(5*time.Second)))
	var name string
	err := tls.Server(far, &tls.Config{GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
		name = i.ServerName
		return nil, io.ErrUnexpectedEOF
	}}).Handshake()
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Equal(t, "a.example", name)
}

func TestOpenHelloCatchesWhatABrokenRelayDelivers(t *testing.T) {
	one, two := sealed(t, "a.example", 1), sealed(t, "a.example", 2)
	mixed := append(append([]byte{}, one[:helloIDEnd-8]...), two[helloIDEnd-8:]...)
	shorter := sealed(t, "a.example", 3)
	SealHello(shorter, Header{Op: Exchange, Up: uint32(len(shorter) - 1), Down: 64, Seq: 3})
	for name, b := range map[string][]byte{
		"a lost byte":       one[1:],
		"a truncated one":   one[:len(one)-1],
		"two in one":        append(append([]byte{}, one...), two...),
		"halves of two":     mixed,
		"another length":    shorter,
		"no header in it":   make([]byte, 200),
		"not even a record": one[:3],
		"nothing":           nil,
	} {
		_, err := OpenHello(b)
		assert.Error(t, err, name)
	}
}
