package proxy

import (
	"encoding"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// choice is an enumeration of Options.
type choice interface {
	encoding.TextUnmarshaler
	fmt.Stringer
}

// The spelling of every choice is that of the operator's interface.
var spellings = map[string]struct {
	fresh func() choice
	names []string // by value
}{
	"balance":      {func() choice { return new(Balance) }, []string{"least_conn", "round_robin", "first"}},
	"check.type":   {func() choice { return new(CheckType) }, []string{"none", "tcp", "tls", "https"}},
	"admission":    {func() choice { return new(Admission) }, []string{"start", "strict", "off"}},
	"accept_proxy": {func() choice { return new(AcceptProxy) }, []string{"off", "optional", "required"}},
	"send_proxy":   {func() choice { return new(SendProxy) }, []string{"off", "v1", "v2"}},
	"log.access":   {func() choice { return new(AccessLog) }, []string{"off", "errors", "all"}},
}

func TestChoicesAreSpelledAsInTheFile(t *testing.T) {
	for key, c := range spellings {
		t.Run(key, func(t *testing.T) {
			require.Equal(t, c.names[0], c.fresh().String(), "the zero value is the first")
			for _, name := range c.names {
				v := c.fresh()
				require.NoError(t, v.UnmarshalText([]byte(name)))
				require.Equal(t, name, v.String())
			}
		})
	}
}

// An unknown balance was least_conn without a word, and an unknown access log off.
func TestUnknownChoicesAreRefused(t *testing.T) {
	for key, c := range spellings {
		t.Run(key, func(t *testing.T) {
			v := c.fresh()
			require.NoError(t, v.UnmarshalText([]byte(c.names[1])))
			for _, unknown := range []string{"", "x", strings.ToUpper(c.names[0]), c.names[0] + " "} {
				err := v.UnmarshalText([]byte(unknown))
				require.ErrorContains(t, err, fmt.Sprintf("%q is not a choice: use one of %s", unknown, strings.Join(c.names, ", ")))
				require.Equal(t, c.names[1], v.String(), "the value stays")
			}
		})
	}
	require.Equal(t, "unknown", CheckType(200).String())
}

// The value of SendProxy is the version that a header is written in.
func TestSendProxyIsAVersion(t *testing.T) {
	require.EqualValues(t, 0, SendProxyOff)
	require.EqualValues(t, 1, SendProxyV1)
	require.EqualValues(t, 2, SendProxyV2)
	require.Nil(t, CheckHeader(SendProxyOff))
	require.True(t, strings.HasPrefix(string(CheckHeader(SendProxyV1)), "PROXY UNKNOWN"))
	require.True(t, strings.HasPrefix(string(CheckHeader(SendProxyV2)), "\r\n\r\n\x00\r\nQUIT\n\x20"))
}
