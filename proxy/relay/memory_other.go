//go:build !linux

package relay

// DefaultBuffered is the limit that Tuning.Buffered stands for if it is 0: none here.
func DefaultBuffered() int64 { return -1 }
