// Package peer starts the relays under test, each as real processes: l4fwd, HAProxy, nginx, a plain Go one, and any other
// given as a command. It is empty on anything but Linux.
package peer
