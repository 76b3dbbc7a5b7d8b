package doctor_test

import (
	"io"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/bench/testport"
	"github.com/l4fwd/l4fwd/eip/sim"
)

const pool = "tag:l4fwd-pool=aoai"

// region is an instance in simulated AWS, in a group behind a load balancer, with an address of the pool. Azure admits it.
type region struct {
	ec2                        *sim.EC2
	asg                        *sim.AutoScaling
	imds                       *sim.Metadata
	addresses                  []string // allocation ids of the pool
	standin                    standin.Options
	ec2URL                     func(*testing.T) string
	egress                     string           // what the world sees; empty: the address that the instance holds
	imdsHandler, egressHandler http.HandlerFunc // in the place of those of the region
	env                        []string         // instead of that of an instance with a role
}

// newRegion has three addresses in the pool and a group of two instances at most.
func newRegion() *region {
	r := &region{ec2: sim.NewEC2(sim.EC2Options{}), asg: sim.NewAutoScaling(), imds: sim.NewMetadata(sim.Machine{
		Region: "eu-west-1", Account: "123456789012", Instance: "i-1", MAC: "02:00:00:00:00:01", Interface: "eni-1", PrivateIP: "10.0.0.1",
	})}
	r.hooks()
	r.asg.Resize("aoai", 2)
	r.asg.Target("aoai", "InService")
	for range 3 {
		r.addresses = append(r.addresses, r.ec2.AddAddress(map[string]string{"l4fwd-pool": "aoai"}))
	}
	r.ec2.AddEndpoint("vpce-svc-1", "vpce-1", "available")
	r.ec2.AddInterface("eni-1", "i-1", netip.MustParseAddr("10.0.0.1"))
	r.ec2.Move(r.addresses[0], "eni-1")
	r.launch("i-1", r.imds)
	r.imds.Public(func() string { return text(r.ec2.PublicIPv4("eni-1")) })
	return r
}

// hooks gives the group the hooks of the Terraform module.
func (r *region) hooks() {
	r.asg.Group("aoai", sim.Hook{Name: "up", Transition: sim.Launching, Timeout: time.Minute}, sim.Hook{Name: "down", Transition: sim.Terminating, Timeout: time.Minute})
}

// launch adds an instance to the group that is in service already.
func (r *region) launch(instance string, md *sim.Metadata) {
	r.asg.Group("aoai") // no hook to wait for
	r.asg.Launch("aoai", instance, md)
	r.hooks()
}

// other gives the second address of the pool to another instance.
func (r *region) other() {
	r.ec2.AddInterface("eni-2", "i-2", netip.MustParseAddr("10.0.0.2"))
	r.ec2.Move(r.addresses[1], "eni-2")
}

// retained has that instance wait for a hook until it times out, and then retains it.
func (r *region) retained() {
	r.other()
	r.launch("i-2", sim.NewMetadata(sim.Machine{}))
	r.asg.Retain("aoai")
	r.asg.Group("aoai", sim.Hook{Name: "down", Transition: sim.Terminating})
	r.asg.Terminate("i-2")
	r.hooks()
}

// text is an address, or nothing.
func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// world says which address this machine has, as a service in the internet does.
func (r *region) world() http.Handler {
	if r.egressHandler != nil {
		return r.egressHandler
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		seen := r.egress
		if seen == "" {
			seen = text(r.ec2.PublicIPv4("eni-1"))
		}
		_, _ = io.WriteString(w, seen)
	})
}

// metadata is the metadata service.
func (r *region) metadata() http.Handler {
	if r.imdsHandler != nil {
		return r.imdsHandler
	}
	return r.imds
}

// inAWS is a state that differs from a region where everything is right by a change.
func inAWS(change func(*region)) func(*testing.T) setup {
	return func(t *testing.T) setup {
		r := newRegion()
		change(r)
		_, s := origin(t, r.standin)
		s.args[0] = "--upstream"
		s = s.with("--eip-pool", pool, "--listen", testport.Free(t), "--admin", "off", "--egress-url", serving(t, r.world()))
		if r.env == nil {
			r.env = []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}
		}
		ec2 := serving(t, r.ec2)
		if r.ec2URL != nil {
			ec2 = r.ec2URL(t)
		}
		s.env = append(s.env, "AWS_ENDPOINT_URL_EC2="+ec2, "AWS_ENDPOINT_URL_AUTO_SCALING="+serving(t, r.asg), "AWS_EC2_METADATA_SERVICE_ENDPOINT="+serving(t, r.metadata()))
		s.env = append(s.env, r.env...)
		return s
	}
}

// offEC2 is the environment of a person with credentials elsewhere.
func offEC2(metadata string) []string {
	return []string{metadata, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}
}

// denied lacks a permission of EC2.
func denied(action string) func(*testing.T) setup {
	return inAWS(func(r *region) {
		r.ec2.Configure(func(o *sim.EC2Options) { o.Denied = map[string]bool{action: true} })
	})
}

// deniedScaling lacks a permission of Auto Scaling.
func deniedScaling(action string) func(*testing.T) setup {
	return inAWS(func(r *region) { r.asg.Deny(action) })
}

var cloudStates = []state{
	{name: "AWS: IMDS with hop limit 1 in a container", make: inAWS(func(r *region) { r.imds.Hops(2, 1) }),
		verdict: "broken at: the instance metadata; their hop limit is too small for a container\n", mend: []string{"--http-put-response-hop-limit 2"},
		lines: []string{`^skipped +pool .* because the step metadata failed`, `^skipped +address .* because the step metadata failed`}},
	{name: "AWS: EC2 does not answer", make: inAWS(func(r *region) {
		r.ec2URL = hanging
	}), verdict: "broken at: EC2; it does not answer\n", mend: []string{"an interface endpoint for ec2"}, lines: []string{`^skipped +endpoints .* because no answer in 5s$`}},
	{name: "AWS: IMDS silent", make: inAWS(func(r *region) { r.env = offEC2("AWS_EC2_METADATA_SERVICE_ENDPOINT=http://192.0.2.1") }),
		verdict: "no fault found", lines: []string{`^skipped +metadata .* because this machine is no EC2 instance`}},
	{name: "AWS: good", make: inAWS(func(*region) {}), verdict: "no fault found",
		lines: []string{`^ok +metadata .* i-1 in eu-west-1, interface eni-1 with 10\.0\.0\.1, public address 198\.51\.0\.1$`, `^ok +pool tag:l4fwd-pool=aoai .* 3 addresses, 2 free; the group aoai has at most 2 instances$`,
			`^ok +address 198\.51\.0\.1 .* is held by this interface$`, `^ok +permission ec2:AssociateAddress .* permitted$`, `^ok +permission autoscaling:CompleteLifecycleAction .* permitted$`,
			`^ok +egress .* 198\.51\.0\.1, .*, which is in the pool$`, `^ok +hooks aoai `, `^ok +target health `, `^ok +endpoints .* 1 connections to endpoint services: 1 available`, `^ok +holders `}},
	{name: "AWS: no IMDS", make: inAWS(func(r *region) { r.env = offEC2("AWS_EC2_METADATA_DISABLED=true") }), verdict: "no fault found",
		lines: []string{`^skipped +metadata .* because the instance metadata service is switched off`, `^ok +pool tag:l4fwd-pool=aoai .* 3 addresses, 2 free$`, `^skipped +address .* because this machine is no EC2 instance`}},
	{name: "AWS: neither IMDS nor credentials", make: inAWS(func(r *region) { r.env = []string{"AWS_EC2_METADATA_DISABLED=true"} }), verdict: "no fault found",
		lines: []string{`^skipped +pool .* because AWS cannot be asked: no AWS region`, `^skipped +permission .* because AWS cannot be asked`}},
	{name: "AWS: IMDS is switched off for the instance", make: inAWS(func(r *region) { r.imds.Fail(http.StatusForbidden) }), verdict: "no fault found",
		lines: []string{`^skipped +metadata .* because the instance metadata service is switched off for this instance`}},
	{name: "AWS: no role", make: inAWS(func(r *region) { r.env = []string{} }), verdict: "broken at: the credentials; AWS is asked without any\n", mend: []string{"aws ec2 associate-iam-instance-profile --instance-id i-1"}},
	{name: "AWS: may not list the pool", make: denied("DescribeAddresses"), verdict: "broken at: IAM; the role lacks ec2:DescribeAddresses\n",
		mend: []string{`"Action":"ec2:DescribeAddresses","Resource":["*"]`}, lines: []string{`^skipped +pool .* because ec2:DescribeAddresses is not permitted`, `^skipped +address .* because the pool cannot be listed`}},
	{name: "AWS: may not associate", make: denied("AssociateAddress"), verdict: "broken at: IAM; the role lacks ec2:AssociateAddress\n", mend: []string{`"Action":"ec2:AssociateAddress"`}},
	{name: "AWS: may not disassociate", make: denied("DisassociateAddress"), verdict: "broken at: IAM; the role lacks ec2:DisassociateAddress\n", mend: []string{`"Action":"ec2:DisassociateAddress"`}},
	{name: "AWS: may not complete hooks", make: deniedScaling("CompleteLifecycleAction"), verdict: "broken at: IAM; the role lacks autoscaling:CompleteLifecycleAction\n",
		mend: []string{`"Action":"autoscaling:CompleteLifecycleAction","Resource":"arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/aoai"`}},
	{name: "AWS: may not send heartbeats", make: deniedScaling("RecordLifecycleActionHeartbeat"), verdict: "broken at: IAM; the role lacks autoscaling:RecordLifecycleActionHeartbeat\n"},
	{name: "AWS: may not find its group", make: deniedScaling("DescribeAutoScalingInstances"), verdict: "broken at: IAM; the role lacks autoscaling:DescribeAutoScalingInstances\n"},
	{name: "AWS: may not list hooks", make: deniedScaling("DescribeLifecycleHooks"), verdict: "broken at: IAM; the role lacks autoscaling:DescribeLifecycleHooks\n"},
	{name: "AWS: may not see the size of the group, which it can do without", make: deniedScaling("DescribeAutoScalingGroups"), verdict: "no fault found",
		lines: []string{`^ok +pool .* the size of the group is not known: autoscaling:DescribeAutoScalingGroups is not permitted`}},
	{name: "AWS: may not see target groups, which it can do without", make: deniedScaling("DescribeLoadBalancerTargetGroups"), verdict: "no fault found",
		lines: []string{`^skipped +target health .* because autoscaling:DescribeLoadBalancerTargetGroups is not permitted; l4fwd works without it`}},
	{name: "AWS: pool too small", make: inAWS(func(r *region) { r.asg.Resize("aoai", 5) }), verdict: "broken at: the pool; it has 3 addresses and the group may have 5 instances\n",
		mend: []string{"for i in $(seq 3); do aws ec2 allocate-address --domain vpc --tag-specifications 'ResourceType=elastic-ip,Tags=[{Key=l4fwd-pool,Value=aoai}]'; done", "--max-size 3"}},
	{name: "AWS: pool without a spare address", make: inAWS(func(r *region) { r.asg.Resize("aoai", 3) }), verdict: "no fault found", lines: []string{`none is spare`}},
	{name: "AWS: address not in the pool", make: inAWS(func(r *region) {
		r.ec2.Move(r.addresses[0], "")
		r.egress = "203.0.113.99"
		r.imds.Public(func() string { return "203.0.113.99" })
	}), verdict: "broken at: the Elastic IP; this instance leaves from 203.0.113.99, which is not in the pool (1 more step failed)\n",
		mend: []string{"l4fwd eip claim --eip-pool " + pool, "l4fwd eip list --eip-pool " + pool}},
	{name: "AWS: no address", make: inAWS(func(r *region) { r.ec2.Move(r.addresses[0], "") }), verdict: "broken at: the Elastic IP; this instance has no public address\n",
		mend: []string{"l4fwd eip claim --eip-pool " + pool}},
	{name: "AWS: holder retained", make: inAWS(func(r *region) {
		r.retained()
	}), verdict: "no fault found", lines: []string{`^warning +holders .* 198\.51\.0\.2 by i-2, which Auto Scaling retains \(Terminating:Retained\)$`},
		mend: []string{"aws autoscaling terminate-instance-in-auto-scaling-group --no-should-decrement-desired-capacity --instance-id i-2", "l4fwd eip release --eip-pool " + pool + " --interface eni-2"}},
	{name: "AWS: holder in no group", make: inAWS(func(r *region) { r.other() }), verdict: "no fault found",
		lines: []string{`^warning +holders .* 198\.51\.0\.2 by i-2, which is in no Auto Scaling group$`}, mend: []string{"l4fwd eip release --eip-pool " + pool + " --interface eni-2 --private-ip 10.0.0.2"}},
	{name: "AWS: a NAT gateway on the way", make: inAWS(func(r *region) { r.egress = "203.0.113.77" }),
		verdict: "broken at: the way out; connections leave from 203.0.113.77, not from the instance's 198.51.0.1\n", mend: []string{"aws ec2 describe-route-tables"}},
	{name: "AWS: Azure has no rule for the held address", make: inAWS(func(r *region) { r.standin = standin.Options{Deny: true} }),
		verdict: "broken at: Azure firewall; 198.51.0.1 is not in the resource's rules\n", mend: []string{"--ip-address 198.51.0.1", "l4fwd eip list --eip-pool " + pool + " --format azure-cli"}},
	{name: "AWS: no hooks", make: inAWS(func(r *region) { r.asg.Group("aoai") }), verdict: "no fault found", lines: []string{`^warning +hooks aoai .* none$`}, mend: []string{"aws autoscaling put-lifecycle-hook"}},
	{name: "AWS: nobody accepted the endpoint", make: inAWS(func(r *region) { r.ec2.AddEndpoint("vpce-svc-1", "vpce-2", "pendingAcceptance") }), verdict: "no fault found",
		mend: []string{"aws ec2 accept-vpc-endpoint-connections --service-id vpce-svc-1 --vpc-endpoint-ids vpce-2"}},
	{name: "AWS: unhealthy behind the load balancer", make: inAWS(func(r *region) { r.asg.Sicken("i-1") }),
		verdict: "broken at: the health check of the load balancer or of EC2; it fails for this instance\n", mend: []string{"readyz?verbose"}},
	{name: "AWS: the group has no target group", make: inAWS(func(r *region) { r.asg.Target("aoai", "") }), verdict: "no fault found", lines: []string{`registered with no target group`}},
}

// The region is right before a state changes something: an instance in service that holds an address.
func TestTheRegionIsRight(t *testing.T) {
	r := newRegion()
	require.Equal(t, "InService", r.asg.State("i-1"))
	require.Equal(t, map[string]string{r.addresses[0]: "eni-1"}, r.ec2.Holders())
}
