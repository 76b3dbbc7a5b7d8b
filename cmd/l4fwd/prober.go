package main

import (
	"context"

	"github.com/l4fwd/l4fwd/health/probe"
	"github.com/l4fwd/l4fwd/proxy"
)

// probeAddress makes the checks of upstreams. It is the forwarder's proxy.Prober.
func probeAddress(ctx context.Context, p proxy.Probe) (refusal string, err error) {
	secure := probe.TLSRequest{Addr: p.Addr, ServerName: p.Host, First: p.First}
	switch p.Type {
	case proxy.CheckHTTPS:
		r, err := probe.HTTPS(ctx, probe.HTTPRequest{TLSRequest: secure, Path: p.Path})
		return r.Refusal, err
	case proxy.CheckTLS:
		_, err = probe.TLS(ctx, secure)
	default:
		_, err = probe.TCP(ctx, p.Addr)
	}
	return "", err
}
