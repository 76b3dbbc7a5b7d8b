package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// client speaks to a running daemon over admin.address.
type client struct {
	where endpoint
	http  *http.Client
}

// errNoDaemon says that nothing answered as l4fwd would.
var errNoDaemon = errors.New("no daemon answers")

// newClient takes the admin address from flags, environment and file. Faults in other keys are none of its business: a
// daemon that runs must be reachable while its file is being edited.
func newClient(flags *pflag.FlagSet, stderr io.Writer) (*client, error) {
	l := load(flags)
	var faults Faults
	for _, f := range l.faults {
		// An address that the daemon would not listen on may well be spoken to.
		if !f.Warning && (l.broken || f.Key == "admin.address" && !remoteOnly(l.cfg.Admin.Address)) {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		faults.print(stderr)
		return nil, silent(exitUsage)
	}
	e, err := parseAdmin(l.cfg.Admin.Address)
	switch {
	case err != nil:
		return nil, usage(err)
	case e.off():
		return nil, usage(errors.New("admin.address is off: name the daemon's with --admin ADDR"))
	}
	if e.Addr.IsValid() && e.Addr.Addr().IsUnspecified() {
		e.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), e.Addr.Port())
	}
	return &client{e, &http.Client{
		Timeout: 10 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				d := net.Dialer{Timeout: 3 * time.Second}
				return d.DialContext(ctx, e.network(), e.address())
			},
		},
	}}, nil
}

// remoteOnly reports whether the only thing against an admin address is that it is remote.
func remoteOnly(address string) bool {
	e, err := parseAdmin(address)
	return err == nil && !e.local()
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
		return fmt.Errorf("%w on %s: %w%s", errNoDaemon, c.name(), cause(err), adviceFor(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%w on %s: %w", errNoDaemon, c.name(), err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w on %s: what answers there is not l4fwd", errNoDaemon, c.name())
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answers %s: %.200s", c.name(), resp.Status, body)
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("%w on %s: what answers there is not l4fwd", errNoDaemon, c.name())
	}
	return nil
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
