package enum

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type colour uint8

var names = []string{"red", "green"}

func TestNamesAndValues(t *testing.T) {
	for i, name := range names {
		var c colour
		require.NoError(t, Parse(names, []byte(name), &c))
		require.Equal(t, colour(i), c)
		require.Equal(t, name, Name(names, c))
	}
	require.Equal(t, "unknown", Name(names, colour(len(names))))
}

// An unknown balance was least_conn without a word.
func TestUnknownNamesAreRefused(t *testing.T) {
	for _, text := range []string{"", "Red", "red ", "blue"} {
		c := colour(1)
		require.EqualError(t, Parse(names, []byte(text), &c), `"`+text+`" is not a choice: use one of red, green`)
		require.Equal(t, colour(1), c, "the value stays")
	}
}
