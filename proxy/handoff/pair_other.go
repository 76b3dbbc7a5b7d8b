//go:build !linux

package handoff

import (
	"errors"
	"os"
)

// Pair fails: only engines that need Linux can hand connections over.
func Pair() (*Giver, *os.File, error) {
	return nil, nil, errors.New("connections are handed over on Linux only")
}
