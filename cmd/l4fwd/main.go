// Command l4fwd is a TCP forwarder: it accepts connections, relays their bytes to an upstream, and ends without losing
// one. It is the only package that knows the others; each of them is put together and taken apart in serve.go.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
)

// Set by the linker: -X main.version=… -X main.commit=….
var (
	version = ""
	commit  = ""
)

// thisBuild describes the program.
func thisBuild() metrics.Build { return metrics.ThisBuild(version, commit) }

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

// Exit statuses. They are part of the interface: scripts and service managers rely on them.
const (
	exitOK       = 0
	exitFailure  = 1 // a failure while running; status: the daemon is not ready
	exitUsage    = 2 // bad flags or configuration
	exitNoDaemon = 3 // status: no daemon answers
)

// exitError is an error with its exit status.
type exitError struct {
	code int
	err  error // nil: everything has been said
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage is an error in the command line or the configuration.
func usage(err error) *exitError { return &exitError{exitUsage, err} }

// failure is an error while running.
func failure(err error) *exitError { return &exitError{exitFailure, err} }

// silent is an exit status without a message: everything has been said.
func silent(code int) *exitError { return &exitError{code: code} }

// noArgs rejects arguments of a verb that takes flags only.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see " + cmd.CommandPath() + " --help"
	switch subs := cmd.Commands(); {
	case len(subs) > 0:
		names := make([]string, len(subs))
		for i, sub := range subs {
			names[i] = sub.Name()
		}
		hint = "use one of " + strings.Join(names, ", ")
	case config.NamesFile(args[0]):
		hint = "name a file with --config " + args[0]
	}
	return usage(fmt.Errorf("%s: unexpected argument %q; %s", cmd.Name(), args[0], hint))
}
