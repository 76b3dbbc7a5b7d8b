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
