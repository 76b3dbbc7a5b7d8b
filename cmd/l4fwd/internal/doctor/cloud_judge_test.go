package doctor

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/health/probe"
)

// ours is an instance of a group with the first of two addresses of the pool.
func ours() *cloudFindings {
	ip := netip.MustParseAddr
	return &cloudFindings{
		selector: "tag:pool=aoai", id: instance.Identity{Instance: "i-1", Interface: "eni-1", PrivateIP: "10.0.0.1"}, public: ip("198.51.0.1"),
		group: lifecycle.Membership{Group: "aoai", State: "InService", Health: "HEALTHY"},
		pool: []eip.Address{
			{Public: ip("198.51.0.1"), Allocation: "eipalloc-1", Association: "a", Interface: "eni-1", Private: ip("10.0.0.1"), Instance: "i-1"},
			{Public: ip("198.51.0.2"), Allocation: "eipalloc-2"},
		},
	}
}

func TestWhetherAPoolIsLargeEnough(t *testing.T) {
	t.Parallel()
	sized := func(most int) Step {
		s := Step{Kind: Pool, State: OK, Evidence: "2 addresses"}
		ours().judgeSize(&s, lifecycle.Size{Max: most})
		return s
	}
	says(t, sized(1), OK, "2 addresses; the group aoai has at most 1 instances")
	says(t, sized(2), Warning, "none is spare")
	require.Contains(t, sized(2).Commands[0], "for i in $(seq 1); do aws ec2 allocate-address --domain vpc --tag-specifications 'ResourceType=elastic-ip,Tags=[{Key=pool,Value=aoai}]'; done")
	says(t, sized(3), Failed, "the pool; it has 2 addresses and the group may have 3 instances")
	require.Contains(t, sized(5).Commands[0], "$(seq 4)", "one is to be spare")
	require.Contains(t, sized(5).Commands[1], "--max-size 2")
}

// The command that allocates an address has to make it one of the pool.
func TestANewAddressIsOfThePool(t *testing.T) {
	t.Parallel()
	require.Equal(t, " --tag-specifications 'ResourceType=elastic-ip,Tags=[{Key=pool,Value=a=b}]'", tagArgument("tag:pool=a=b"))
	require.Equal(t, " --tag-specifications 'ResourceType=elastic-ip,Tags=[{Key=pool,Value=l4fwd}]'", tagArgument("tag-key:pool"))
	require.Empty(t, tagArgument("eipalloc-1,eipalloc-2"))
}

func TestTheAddressOfThisInstance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*cloudFindings)
		state  State
		text   string
	}{
		{func(*cloudFindings) {}, OK, "eipalloc-1 is held by this interface"},
		{func(c *cloudFindings) { c.public = netip.Addr{} }, OK, "eipalloc-1 is held by this interface"},
		{func(c *cloudFindings) { c.public = netip.MustParseAddr("203.0.113.9") }, Warning, "and the instance metadata show 203.0.113.9"},
		{func(c *cloudFindings) { c.id.Interface = "eni-2" }, Failed, "leaves from 198.51.0.1, which is not in the pool"},
		{func(c *cloudFindings) { c.id.PrivateIP = "10.0.0.2" }, Failed, "which is not in the pool"},
		{func(c *cloudFindings) { c.id.Interface, c.public = "eni-2", netip.Addr{} }, Failed, "the Elastic IP; this instance has no public address"},
		{func(c *cloudFindings) { c.id = instance.Identity{} }, Skipped, "this machine is no EC2 instance"},
		{func(c *cloudFindings) { c.pool = nil }, Skipped, "the pool cannot be listed"},
	} {
		found := ours()
		c.change(found)
		says(t, found.held(), c.state, c.text)
	}
}

// A holder that serves nobody is named, with what frees its address; without a group nobody can say who serves.
func TestWhoHoldsAddresses(t *testing.T) {
	t.Parallel()
	judged := func(group string, states map[string]string) Step {
		c := ours()
		c.group.Group = group
		c.pool[1].Association, c.pool[1].Interface, c.pool[1].Private = "b", "eni-2", netip.MustParseAddr("10.0.0.2")
		c.pool = append(c.pool, eip.Address{Public: netip.MustParseAddr("198.51.0.3")})
		s := Step{Kind: Holders, State: OK}
		c.judgeHolders(&s, states)
		return s
	}
	says(t, judged("", map[string]string{"i-1": "InService"}), OK, "2 addresses are held")
	s := judged("aoai", map[string]string{"i-1": "InService"})
	says(t, s, Warning, "198.51.0.2 by eni-2, which is in no Auto Scaling group")
	require.NotContains(t, s.Evidence, "198.51.0.3", "it is free")
	require.Equal(t, []string{"l4fwd eip release --eip-pool tag:pool=aoai --interface eni-2 --private-ip 10.0.0.2"}, s.Commands)
	s = judged("", map[string]string{"i-1": "Terminating:Retained"})
	says(t, s, Warning, "198.51.0.1 by i-1, which Auto Scaling retains (Terminating:Retained)")
	require.Len(t, s.Commands, 2, "it is terminated, and its address released")
	require.Contains(t, s.Commands[0], "--instance-id i-1")
}

// What the far end sees is compared with the metadata and the pool, if there is something to compare.
func TestTheWayOutIsThatOfThePool(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		seen   string
		change func(*cloudFindings)
		state  State
		text   string
	}{
		{"198.51.0.1", func(*cloudFindings) {}, OK, "seen, which is in the pool"},
		{"198.51.0.2", func(*cloudFindings) {}, Warning, "the metadata follow a change within a minute"},
		{"203.0.113.9", func(*cloudFindings) {}, Failed, "connections leave from 203.0.113.9, not from the instance's 198.51.0.1"},
		{"203.0.113.9", func(c *cloudFindings) { c.public = netip.MustParseAddr("203.0.113.9") }, Failed, "connections leave from 203.0.113.9, which is not in the pool"},
		{"203.0.113.9", func(c *cloudFindings) { c.public = netip.Addr{} }, Failed, "which is not in the pool"},
		{"203.0.113.9", func(c *cloudFindings) { c.pool = nil }, OK, "seen"},
		{"203.0.113.9", func(c *cloudFindings) { c.id.Instance = "" }, OK, "seen"},
		{"203.0.113.9", func(c *cloudFindings) { c.selector = "" }, OK, "seen"},
	} {
		found := ours()
		c.change(found)
		s := Step{Kind: Egress, State: OK, Evidence: "seen"}
		found.compareEgress(&s, netip.MustParseAddr(c.seen))
		says(t, s, c.state, c.text)
	}
	s := Step{Kind: Egress, State: Skipped, Because: "it is off"}
	ours().compareEgress(&s, netip.MustParseAddr("203.0.113.9"))
	says(t, s, Skipped, "it is off")
}

// A launch waits for readiness and a termination for the drain, for as long as that may take.
func TestWhatHooksDo(t *testing.T) {
	t.Parallel()
	up := lifecycle.Hook{Name: "up", Launch: true, Heartbeat: time.Minute, DefaultResult: "ABANDON"}
	down := func(most time.Duration) lifecycle.Hook {
		return lifecycle.Hook{Name: "down", Heartbeat: time.Minute, Global: most, DefaultResult: "CONTINUE"}
	}
	judged := func(all ...lifecycle.Hook) Step {
		s := Step{Kind: Hooks, State: OK}
		judgeHooks(&s, &Cloud{LameDuck: 10 * time.Second, DrainTimeout: 5 * time.Minute}, all, "aoai")
		return s
	}
	says(t, judged(up, down(time.Hour)), OK, "up (launch, heartbeat 1m0s, ABANDON); down (terminate, heartbeat 1m0s, CONTINUE); l4fwd sends heartbeats during a drain of up to 5m10s")
	says(t, judged(up, down(0)), OK, "heartbeats during a drain")
	says(t, judged(up, down(310*time.Second)), OK, "heartbeats during a drain")
	s := judged(up, down(300*time.Second))
	says(t, s, Warning, "heartbeats make the hook wait for 5m0s at most, and a drain may take 5m10s")
	require.Contains(t, s.Commands[0], "--lifecycle-hook-name down --heartbeat-timeout 310")
	s = judged(up)
	says(t, s, Warning, "a termination cuts connections")
	require.Equal(t, []string{"aws autoscaling put-lifecycle-hook --auto-scaling-group-name aoai --lifecycle-hook-name l4fwd-terminating " +
		"--lifecycle-transition autoscaling:EC2_INSTANCE_TERMINATING --heartbeat-timeout 300 --default-result CONTINUE"}, s.Commands)
	s = judged(down(0))
	says(t, s, Warning, "counts as launched before it holds an address")
	require.Contains(t, s.Commands[0], "EC2_INSTANCE_LAUNCHING --heartbeat-timeout 300 --default-result ABANDON")
	says(t, judged(), Warning, "none")
	require.Len(t, judged().Commands, 2)
}

func TestTargetGroupsOfTheInstance(t *testing.T) {
	t.Parallel()
	judged := func(states ...string) Step {
		s := Step{Kind: TargetHealth, State: OK, Evidence: "the instance is InService"}
		var all []lifecycle.TargetGroup
		for _, state := range states {
			all = append(all, lifecycle.TargetGroup{ARN: "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/aoai/0123", State: state})
		}
		judgeTargetGroups(&s, all)
		return s
	}
	says(t, judged("InService"), OK, "the instance is InService; target group aoai/0123 InService")
	says(t, judged("InService", "Added"), Warning, "passes the load balancer's health check yet")
	says(t, judged(), Warning, "no load balancer sends it clients")
}

func TestWhatAMissingPermissionMeans(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   error
		state State
		text  string
	}{
		{nil, OK, "permitted"},
		{&eip.PermissionError{Action: "ec2:X", Resources: []string{"*"}}, Failed, "IAM; the role lacks ec2:X"},
		{&lifecycle.DeniedError{Action: "autoscaling:X", Resource: "*"}, Failed, "IAM; the role lacks ec2:X"},
		{eip.ErrNoAddress, Skipped, "there is no address to test with"},
		{errors.New("x: no AWS credentials"), Skipped, "there are no AWS credentials"},
		{errors.New("i/o timeout"), Warning, "could not be tested"},
	} {
		s := permission("ec2:X", c.err, 12)
		says(t, s, c.state, c.text)
		if c.state == Failed {
			require.Contains(t, s.Commands[0], `--policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"`)
		}
	}
}

// Without a pool nothing of AWS is asked, and the report says so.
func TestWithoutAPoolNothingOfAWSIsAsked(t *testing.T) {
	t.Parallel()
	c := (&examination{}).testCloud(t.Context())
	require.False(t, c.pooled())
	require.Equal(t, []Step{{Kind: Metadata, State: Skipped, Because: "no eip.pool is configured, so l4fwd asks nothing of AWS"}}, c.steps)
}

// Why Auto Scaling is not asked about this machine, and what an error says when the time of a step is over.
func TestWhatIsNotAsked(t *testing.T) {
	t.Parallel()
	require.Empty(t, ours().unasked(&Cloud{Groups: true}))
	require.Equal(t, "lifecycle.asg is off", ours().unasked(&Cloud{}))
	require.Equal(t, "this machine is no EC2 instance", (&cloudFindings{}).unasked(&Cloud{Groups: true}))
	ctx, cancel := context.WithCancel(t.Context())
	require.Equal(t, "denied", unanswered(ctx, errors.New("denied")))
	cancel()
	require.Equal(t, "no answer in 5s", unanswered(ctx, errors.New("canceled")))
	require.Equal(t, "none", orNone(netip.Addr{}))
}

// The address that Azure refuses is named: as it says itself, else as a service sees it, else as the metadata show it.
func TestARefusalNamesTheAddress(t *testing.T) {
	t.Parallel()
	refused := func(body, refusal string, cloud *cloudFindings) (Step, Step) {
		addr := netip.MustParseAddr("192.0.2.1")
		target := targetFindings{
			target: Target{Host: modelName, Port: 443},
			steps: []Step{
				{Kind: HTTPS, State: Failed, Subject: "192.0.2.9:443", Fault: "another address"},
				{Kind: HTTPS, State: Failed, Subject: "192.0.2.1:443", Fault: "Azure firewall; it refuses this machine's address"},
				{Kind: Certificate, State: Failed, Subject: "192.0.2.1:443", Fault: "another kind"},
			},
			addresses: []*addressFindings{{found: found{addr: addr}, answer: probe.HTTPResult{Status: 403, Body: body, Refusal: refusal}}},
		}
		x := &examination{}
		egress := x.testEgress(t.Context(), []targetFindings{target}, cloud)
		target.nameRefusals(egress, cloud)
		require.Equal(t, "another address", target.steps[0].Fault)
		require.Equal(t, "another kind", target.steps[2].Fault)
		return egress.steps[0], target.steps[1]
	}
	none := &cloudFindings{}
	egress, s := refused("Your IP address is 203.0.113.10", "Firewall rules", none)
	says(t, egress, OK, "203.0.113.10, as a.openai.azure.com says")
	says(t, s, Failed, "Azure firewall; 203.0.113.10 is not in the resource's rules")
	require.Len(t, s.Commands, 1)
	require.True(t, strings.HasSuffix(s.Commands[0], "--name a --ip-address 203.0.113.10"), s.Commands[0])
	egress, s = refused("no", "Firewall rules", none)
	says(t, egress, Skipped, "--egress-url is off")
	says(t, s, Failed, "Azure firewall; this machine's address is not in")
	require.True(t, strings.HasSuffix(s.Commands[0], "--ip-address ADDRESS"))
	_, s = refused("no", "Firewall rules", ours())
	says(t, s, Failed, "Azure firewall; 198.51.0.1 is not in")
	require.Contains(t, s.Commands[1], "l4fwd eip list --eip-pool tag:pool=aoai --format azure-cli")
	_, s = refused("no", "Public access is disabled", none)
	says(t, s, Failed, "public access of a.openai.azure.com is disabled")
	both := []targetFindings{{target: Target{Host: "a.example"}}, {target: Target{Host: "b.example"}}}
	for i, ip := range []string{"203.0.113.10", "203.0.113.11"} {
		both[i].addresses = []*addressFindings{{answer: probe.HTTPResult{Refusal: "Firewall rules", Body: "Your IP address is " + ip}}}
	}
	says(t, (&examination{}).testEgress(t.Context(), both, none).steps[0], OK, "203.0.113.10, as a.example says")
	x := &examination{Options: Options{EgressURL: "http://192.0.2.1"}}
	says(t, x.testEgress(t.Context(), nil, none).steps[0], Skipped, "nothing depends on it")
}
