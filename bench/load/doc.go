// Package load is the client end of the bench: connections through a proxy to the origin, driven from a few event loops,
// with the proxy's CPU read at the very moments a window begins and ends. It is empty on anything but Linux.
package load
