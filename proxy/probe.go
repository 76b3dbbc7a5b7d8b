package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// Probe is one check of an address.
type Probe struct {
	Type  CheckType // never CheckNone
	Addr  netip.AddrPort
	Host  string // CheckTLS and CheckHTTPS: the name that the certificate must be valid for
	Path  string // CheckHTTPS: what is asked for
	First []byte // is sent first, before TLS: a PROXY header. Empty: nothing
}

// Prober makes a check. It returns nil if the address works, and returns when ctx ends. refusal is not empty if the address
// works and refuses those who come from this machine's public address, with the server's reason.
type Prober func(ctx context.Context, p Probe) (refusal string, err error)

// probe returns the check of the target's addresses, nil if it has none.
func (t *target) probe() upstream.Probe {
	c := t.opts.Check
	if c.Type == CheckNone {
		return nil
	}
	p := Probe{Type: c.Type, Host: strings.TrimSuffix(t.opts.Host, "."), Path: c.Path}
	if c.Type != CheckTCP {
		// Also of backups: whoever serves the clients of this upstream must have the name that they ask for.
		p.First = CheckHeader(t.opts.SendProxy)
	}
	return func(ctx context.Context, addr netip.AddrPort) error {
		p := p
		p.Addr = addr
		egress := t.server.egress.current()
		refusal, err := t.server.prober(ctx, p)
		if err == nil && t.admission != nil {
			t.judgeAnswer(egress, refusal)
		}
		return err
	}
}

// checkable returns an error if an upstream has a check and there is nothing to make it with.
func (s *Server) checkable(u Upstream) error {
	if u.Check.Type != CheckNone && s.prober == nil {
		return fmt.Errorf("a check of type %s needs Options.Prober", u.Check.Type)
	}
	return nil
}
