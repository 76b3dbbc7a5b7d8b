package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// An upgrade calls neither EC2 nor Auto Scaling: the new process holds the address, and in the end releases it and completes the hook.
func TestAnUpgradeCallsNothingOfAWS(t *testing.T) {
	r := newRegion(t, 2, sim.Hook{Name: "up", Transition: sim.Launching, Timeout: time.Minute}, sim.Hook{Name: "down", Transition: sim.Terminating, Timeout: time.Minute})
	m := r.machine(t)
	r.asg.Launch("aoai", m.Instance, m.metadata)
	g := startedGenerations(t, "auto", append(m.env, "L4FWD_EIP_VERIFY_INTERVAL=1h")...)
	g.eventually(t, func() bool {
		return r.asg.State(m.Instance) == "InService" && g.status(t).Lifecycle.State == "in_service"
	})
	held := *g.status(t).EIP.Hold
	ec2, asg := r.ec2.Calls(), r.asg.Calls()

	for range 2 {
		g.upgrade(t)
		require.Equal(t, "200 ok\n", g.get("/readyz"))
	}
	s := g.status(t)
	require.Equal(t, held, *s.EIP.Hold)
	require.Equal(t, "in_service", string(s.Lifecycle.State))
	require.Equal(t, []string{"up (launch)", "down (terminate)"}, s.Lifecycle.Hooks)
	require.Contains(t, g.get("/metrics"), `l4fwd_eip_operations_total{operation="associate",result="ok"} 1`)
	require.Equal(t, m.Instance, s.Instance.Instance)
	require.Equal(t, ec2, r.ec2.Calls())
	require.Equal(t, asg, r.asg.Calls())

	r.asg.Terminate(m.Instance)
	ends(t, s.PID)
	require.Empty(t, r.ec2.Holders())
	require.Contains(t, r.asg.Calls()[len(asg):], "CompleteLifecycleAction down CONTINUE")
}

// Where eip.pool is off by now, the address would stay associated for ever.
func TestAnUpgradeDoesNotForgetTheAddress(t *testing.T) {
	r := newRegion(t, 1)
	m := r.machine(t)
	env := slices.DeleteFunc(slices.Clone(m.env), func(v string) bool { return strings.HasPrefix(v, "L4FWD_EIP_POOL=") })
	require.Less(t, len(env), len(m.env))
	g := startedGenerations(t, "auto", env...)
	g.writes(t, g.text+"eip: {pool: 'tag:l4fwd-pool=aoai'}\n")
	g.upgrade(t) // the other way round the new process begins to claim
	g.eventually(t, func() bool { return len(r.ec2.Holders()) == 1 && g.get("/readyz") == "200 ok\n" })
	g.writes(t, g.text)
	o := l4fwd(t, nil, "upgrade", "--admin", g.admin)
	require.Equal(t, exitFailure, o.code)
	require.Contains(t, o.stderr, "drain it, which releases the address")
	require.Len(t, r.ec2.Holders(), 1)
}
