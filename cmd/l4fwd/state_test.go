package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

type released bool

func (r *released) Release() { *r = true }

// A panic in the midst of a take-over left a process that did nothing, and said nothing, for ever.
func TestAPanicLetsTheRelayGo(t *testing.T) {
	var r released
	require.PanicsWithValue(t, "a fault", func() {
		defer letGo(&r)
		panic("a fault")
	})
	require.True(t, bool(r))
	r = false
	func() { defer letGo(&r) }()
	require.False(t, bool(r))
}
