package health

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConditionsAreAskedEachTime(t *testing.T) {
	h := New()
	require.Empty(t, h.Failing(), "no condition means ready")

	var err error
	h.Register("listeners", func() error { return nil })
	h.Register("upstream", func() error { return err })
	require.Empty(t, h.Failing())

	err = errors.New("no\naddress")
	failing := h.Failing()
	require.Len(t, failing, 1)
	require.Equal(t, "upstream", failing[0].Name)
	require.Equal(t, "no address", failing[0].Reason(), "a reason is one line")

	err = nil
	require.Empty(t, h.Failing())
}

func TestRegisterReplacesTheConditionOfThatName(t *testing.T) {
	h := New()
	h.Register("a", func() error { return errors.New("old") })
	h.Register("b", func() error { return nil })
	h.Register("a", func() error { return nil })
	require.Empty(t, h.Failing())
	require.Len(t, h.Conditions(), 2)
	require.Equal(t, "a", h.Conditions()[0].Name)
}

// A load balancer that asks before anything is registered, or while nothing holds, must not be answered as ready.
func TestWasReadyOnceEverythingHeld(t *testing.T) {
	h := New()
	h.Conditions()
	require.False(t, h.WasReady(), "nothing is registered")
	var err error = errors.New("not yet")
	h.Register("a", func() error { return nil })
	h.Register("b", func() error { return err })
	h.Conditions()
	require.False(t, h.WasReady())
	err = nil
	require.False(t, h.WasReady(), "nobody asked since")
	h.Conditions()
	require.True(t, h.WasReady())
	err = errors.New("again")
	h.Conditions()
	require.True(t, h.WasReady(), "for ever")
}

func TestNotesOfAConditionAreReplaced(t *testing.T) {
	h := New()
	require.Nil(t, h.describe("a"))
	h.Describe("a", func() []string { return []string{"one"} })
	h.Describe("a", func() []string { return []string{"two"} })
	require.Equal(t, []string{"two"}, h.describe("a"))
	require.Nil(t, h.describe("b"))
	require.Empty(t, Condition{Name: "a"}.Reason())
	require.Equal(t, "a: x y\n", Condition{"a", errors.New(" x\n\ty ")}.line())
}
