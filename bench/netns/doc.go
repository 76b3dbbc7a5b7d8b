// Package netns makes network namespaces and joins them by veth pairs, without iproute2. They have no name anywhere: the
// kernel takes a namespace and its devices away with the last process and file descriptor in it, so that nothing is left
// of a run, however it ended. It is empty on anything but Linux.
package netns
