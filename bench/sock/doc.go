// Package sock is the few raw, non-blocking socket calls of the bench's load and origin. They bypass Go's scheduler on
// purpose: what the harness burns, the proxies under test do not get. It is empty on anything but Linux.
package sock
