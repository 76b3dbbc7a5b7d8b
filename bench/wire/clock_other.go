//go:build !linux

package wire

// monotonic has no origin shared by processes here: latencies are only right within one process.
func monotonic() uint64 { return 0 }
