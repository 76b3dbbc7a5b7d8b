package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

// client speaks to a running daemon over admin.address.
type client struct {
	verb  string
	where config.Endpoint
	http  *http.Client
}

// errNoDaemon says that nothing answered as l4fwd would.
var errNoDaemon = errors.New("no daemon answers")

// newClient takes the admin address from flags, environment and file. Faults in other keys are none of its business: a
// daemon that runs must be reachable while its file is being edited.
func newClient(cmd *cobra.Command) (*client, error) {
	l := config.Load(cmd.Flags())
	var faults config.Faults
	for _, f := range l.Faults {
		// An address that the daemon would not listen on may well be spoken to.
		if !f.Warning && (l.Broken || f.Key == "admin.address" && l.Config.Admin.Address.Local()) {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		faults.Print(cmd.ErrOrStderr())
		return nil, silent(exitUsage)
	}
	e := l.Config.Admin.Address
	if e.Off() {
		return nil, usage(errors.New("admin.address is off: name the daemon's with --admin ADDR"))
	}
	if e.Addr.IsValid() && e.Addr.Addr().IsUnspecified() {
		e.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), e.Addr.Port())
	}
	log.SetOutput(io.Discard) // net/http prints there what a server that speaks first has said
	return &client{cmd.Name(), e, &http.Client{
		Timeout: 10 * time.Second,
		// A foreign server's redirect leads nowhere that is ours.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				d := net.Dialer{Timeout: 3 * time.Second}
				return d.DialContext(ctx, e.Network(), e.Address())
			},
		},
	}}, nil
}

// call sends a request and decodes the answer into out. An error that wraps errNoDaemon means that there is none.
func (c *client) call(method, path string, out any) error {
	host := "localhost"
	if c.where.Addr.IsValid() {
		host = c.where.Addr.String()
	}
	req, err := http.NewRequest(method, "http://"+host+path, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreached(err)
	}
	defer resp.Body.Close()
	if server := resp.Header.Get("Server"); server != serverAdmin {
		return c.foreign(server)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return c.unreached(err)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %s: %.200s", c.name(), resp.Status, bytes.TrimSpace(body))
	}
	if err := json.Unmarshal(body, out); err != nil {
		return c.foreign("")
	}
	return nil
}

// unreached is the error of a request without a whole answer: nobody there, or somebody who speaks no HTTP.
func (c *client) unreached(err error) error {
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return fmt.Errorf("%w on %s: nothing came within %s", errNoDaemon, c.name(), c.http.Timeout)
	}
	var errno syscall.Errno
	if errors.As(err, &errno) || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w on %s: %w%s", errNoDaemon, c.name(), cause(err), adviceFor(err))
	}
	return c.foreign("")
}

// foreign is the error of an answer that is not of l4fwd's admin address. What it says is of no use to anybody here.
func (c *client) foreign(server string) error {
	hint := ""
	if server == serverHealth {
		hint = "; is this health.address? " + c.verb + " needs admin.address, default 127.0.0.1:9901"
	}
	return advise(errNoDaemon, "what answers at %s is not l4fwd's admin address%s", c.name(), hint)
}

func (c *client) name() string {
	if c.where.Unix != "" {
		return "unix:" + c.where.Unix
	}
	return c.where.Addr.String()
}

func adviceFor(err error) string {
	switch {
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return "; the socket belongs to another user: try sudo"
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return "; is it running, and with this admin.address? Name another one with --admin"
	}
	return ""
}
