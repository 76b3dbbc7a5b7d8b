//go:build !linux

package handoff

import (
	"errors"
	"os"
)

var errNoParcels = errors.New("parcels are made on Linux only")

// newMemory fails, so that no Packer is ever made here.
func newMemory(string) (*os.File, error) { return nil, errNoParcels }

// sealMemory is not reached: see newMemory.
func sealMemory(*os.File) error { return errNoParcels }

// sealedMemory is not reached: takeOut has failed before.
func sealedMemory(*os.File) error { return errNoParcels }

// newBag is not reached: see newMemory.
func newBag() (*bag, error) { return nil, errNoParcels }

// put is not reached: there is no bag.
func (b *bag) put([]int) (bool, error) { return false, errNoParcels }

// close is not reached: there is no bag.
func (b *bag) close() {}

// takeOut fails, so that no file is taken for a parcel.
func takeOut(int) ([]int, error) { return nil, errNoParcels }

// hungUp reports that nobody keeps a parcel.
func hungUp(int) bool { return true }
