//go:build !linux

// Command kernels needs Linux; see README.md.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "kernels: this needs Linux with QEMU and Debian's packages")
	os.Exit(2)
}
