package plain

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// terminalTricks is a name that clears the screen, sets the title, turns the text around, and ends the line.
const terminalTricks = "a\x1b[2J\x1b]0;owned\x07\u009b31m\u202eb\u2066\x7f\nc\U000e0001"

func TestTextWritesWhatDoesNotPrint(t *testing.T) {
	require.Equal(t, "aï 東 ✓", Text("aï 東 ✓"))
	require.Equal(t, `a\x1b[2J\x1b]0;owned\a\u009b31m\u202eb\u2066\x7f\nc\U000e0001`, Text(terminalTricks))
	require.Equal(t, `a\ufffd`, Text("a\xff"))
	require.Equal(t, "a\n\\tb\n", Lines("a\n\tb\n"))
}
