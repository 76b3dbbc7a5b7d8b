// Package delay is a long way in a box: it carries packets between two devices, each after a fixed time. It stands in for
// netem, which not every kernel has. It is empty on anything but Linux.
package delay
