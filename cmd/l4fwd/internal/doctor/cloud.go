package doctor

import (
	"context"
	"net/netip"
)

// Cloud is what to test of AWS.
type Cloud struct{ Pool string }

// cloudFindings are what AWS says about this machine.
type cloudFindings struct {
	selector string     // of the pool; empty: none is configured
	public   netip.Addr // in the instance metadata
	steps    []Step
}

func (c cloudFindings) pooled() bool { return c.selector != "" }

func (c cloudFindings) compareEgress(*Step, netip.Addr) {}

func (x *examination) testCloud(context.Context) (c cloudFindings) { return c }
