//go:build !linux

package main

import "github.com/l4fwd/l4fwd/proxy/handoff"

// failpoint: an upgrade is made, and fails, on Linux only.
func failpoint(bool) func(bool, handoff.Kind) error { return nil }
