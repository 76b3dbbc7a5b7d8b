// Package probe tests the way to a server one step at a time: dns, tcp, hello, tls and its certificate, http, clock, egress,
// port. Each probe returns what it saw, also with an error, so that the checks that run for ever and a diagnosis that runs once
// are the same code.
//
// A probe makes one attempt, sends no credential, and returns when its context ends. An error names the step that failed and
// not the address, which the reader knows.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// maxText is the most of a foreign error that is kept, in bytes.
const maxText = 200

// explain names the step that failed, without what Go puts around the system's error. begun is when the step began.
func explain(step string, err error, begun time.Time) error {
	var op *net.OpError
	var sys *os.SyscallError
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s: no answer in %s", step, time.Since(begun).Round(time.Millisecond))
	case errors.As(err, &sys):
		err = sys.Err
	case errors.As(err, &op):
		err = op.Err
	}
	if text := err.Error(); len(text) > maxText { // net/http quotes what it could not read
		return fmt.Errorf("%s: %s…", step, text[:maxText])
	}
	return fmt.Errorf("%s: %w", step, err)
}
