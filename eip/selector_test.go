package eip

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSelector(t *testing.T) {
	a := Address{Allocation: "eipalloc-0123456789abcdef0", Tags: map[string]string{"pool": "a=b", "empty": ""}}
	for text, matches := range map[string]bool{
		"tag:pool=a=b":               true,
		"tag:pool=a":                 false,
		"tag:other=a=b":              false,
		"tag:empty=":                 true,
		"tag:none=":                  false,
		"tag-key:pool":               true,
		"tag-key:none":               false,
		"eipalloc-0123456789abcdef0": true,
		"eipalloc-00000001,eipalloc-0123456789abcdef0": true,
		"eipalloc-00000001":                            false,
	} {
		s, err := ParseSelector(text)
		require.NoError(t, err, text)
		require.Equal(t, text, s.String())
		require.Equal(t, matches, s.Matches(a), text)
	}
	require.False(t, Selector{}.Matches(a))
}

func TestSelectorFaults(t *testing.T) {
	for text, complaint := range map[string]string{
		"":                                    "no allocation id",
		"aoai":                                "write tag:KEY=VALUE",
		"pool=aoai":                           "did you mean tag:pool=aoai?; write tag:KEY=VALUE",
		"Tag:pool=aoai":                       "did you mean tag:pool=aoai?",
		"tag:pool":                            "write tag:pool=VALUE, or tag-key:pool for any value",
		"tag:=x":                              "has no tag key",
		"tag-key:":                            "has no tag key",
		"tag: a=b":                            "a space around its tag key",
		"tag:a=*":                             "a wildcard",
		"eipassoc-00000001":                   "no allocation id",
		"eipalloc-00000001,":                  "no allocation id",
		"eipalloc-1":                          "no allocation id",
		"eipalloc-00000001,pool=aoai":         `"pool=aoai" is no allocation id`,
		"eipalloc-00000001,eipalloc-00000001": "names eipalloc-00000001 twice",
	} {
		_, err := ParseSelector(text)
		require.ErrorContains(t, err, complaint, text)
	}
}
