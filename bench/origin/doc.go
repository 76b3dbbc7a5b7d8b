// Package origin is the server at the far end of the bench: it answers exchanges and sends streams as package wire asks.
// It is empty on anything but Linux.
package origin
