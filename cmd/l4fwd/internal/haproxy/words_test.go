package haproxy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A backslash is HAProxy's: it takes the meaning of what ends or quotes a word, makes control characters, and stands for itself before
// all else, as regular expressions need it to.
func TestEscapes(t *testing.T) {
	for in, want := range map[string][]string{
		`a\ b c`:       {"a b", "c"},
		`a\#b # c`:     {"a#b"},
		`a\\b`:         {`a\b`},
		`\'a\" b`:      {`'a"`, "b"},
		`"\$SERVER"`:   {"$SERVER"},
		`a\nb\rc\td`:   {"a\nb\rc\td"},
		`\x41\x5a\x20`: {"AZ "},
		`^a\.b\d+$`:    {`^a\.b\d+$`},
		`a\`:           {`a\`},
		`'a\ b'`:       {`a\ b`}, // between single quotes it means nothing
	} {
		words, _, err := split(in, func(string) (string, bool) { return "looked up", true })
		require.NoError(t, err, in)
		require.Equal(t, want, words, in)
	}
	for in, fault := range map[string]string{
		`\x4`:  `\x needs two hexadecimal digits`,
		`\xg0`: `\xg0 is not hexadecimal`,
		`a "b`: "a quote is not closed",
	} {
		_, _, err := split(in, nil)
		require.EqualError(t, err, fault, in)
	}
}

// A brace of a variable may close after a default or [*], and after nothing else.
func TestBracesOfVariables(t *testing.T) {
	known := func(name string) (string, bool) { return "one two", name == "LIST" }
	for in, want := range map[string][]string{
		`"${LIST}"`:        {"one two"},
		`a "${LIST[*]}" b`: {"a", "one", "two", "b"},
		`"${NONE-x y}z"`:   {"x yz"},
		`"${LIST-x}"`:      {"one two"},
		`"<${NONE}>"`:      {"<>"},
	} {
		words, unset, err := split(in, known)
		require.NoError(t, err, in)
		require.Equal(t, want, words, in)
		require.Equal(t, in == `"<${NONE}>"`, unset != nil, in)
	}
	for in, fault := range map[string]string{
		`"${LIST"`:   "the brace of ${LIST is not closed",
		`"${LIST+}"`: `after ${LIST comes "+", where } or -default belongs`,
		`"$1"`:       `a $ in double quotes begins no name: write \$`,
	} {
		_, _, err := split(in, known)
		require.EqualError(t, err, fault, in)
	}
}
