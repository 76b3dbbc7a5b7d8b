// Command l4fwd is a TCP forwarder: it accepts connections, relays their bytes to an upstream, and ends without losing
// one. It is the only package that knows the others; each of them is put together and taken apart in serve.go.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		err = verbOrNothing(root, root.Flags().Args()) // with --help cobra does not look at the verb
	}
	if err == nil {
		return exitOK
	}
	var e *exitError
	if !errors.As(err, &e) {
		// Cobra's own complaints are all about the command line.
		e = usage(err)
	}
	if e.err != nil {
		fmt.Fprintf(stderr, "l4fwd: %s\n", e.err)
	}
	return e.code
}
