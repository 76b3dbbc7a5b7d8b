package plain

import (
	"encoding/json"
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

func TestANounFollowsItsNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0 loops", 1: "1 loop", 2: "2 loops"} {
		require.Equal(t, want, Counted(n, "loop"))
	}
}

// What the API answers goes to terminals, too, by curl: it means the same, and nothing in it acts on one.
func TestJSONMeansTheSame(t *testing.T) {
	for text, want := range map[string]string{
		``:                              ``,
		`{"a":"b"}`:                     `{"a":"b"}`,
		`"aï 東 ✓"`:                      `"aï 東 ✓"`,
		"\"\x7f\"":                      `"\u007f"`,
		"\"a\u202eb\u2066c\"":           `"a\u202eb\u2066c"`,
		"\"\u009b31m\"":                 `"\u009b31m"`,
		"\"\U000e0001\"":                `"\udb40\udc01"`,
		"[\"\u202e\",\"東\",\"\u202e\"]": `["\u202e","東","\u202e"]`,
	} {
		got := JSON([]byte(text))
		require.Equal(t, want, string(got))
		if text != "" {
			var before, after any
			require.NoError(t, json.Unmarshal([]byte(text), &before))
			require.NoError(t, json.Unmarshal(got, &after))
			require.Equal(t, before, after)
		}
	}
	whole := []byte(`{"a":"b"}`)
	require.Same(t, &whole[0], &JSON(whole)[0], "what needs nothing is not copied")
}
