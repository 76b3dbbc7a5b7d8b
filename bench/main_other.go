//go:build !linux

// Command bench is the load-test harness behind `make bench`; see README.md.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench needs Linux: it measures splice, schedstat and epoll")
	os.Exit(1)
}
