package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// Cloud is what to test of AWS.
type Cloud struct {
	Pool                   eip.Selector
	Groups                 bool          // whether hooks of an Auto Scaling group are completed
	LameDuck, DrainTimeout time.Duration // of a drain
}

// awsTime bounds a step that calls AWS, with the SDK's own retries.
const awsTime = 5 * time.Second

// cloudFindings are what AWS says about this machine and the pool.
type cloudFindings struct {
	selector string            // of the pool; empty: none is configured
	id       instance.Identity // zero off EC2
	public   netip.Addr        // in the instance metadata
	pool     []eip.Address     // nil: it cannot be listed
	group    lifecycle.Membership
	steps    []Step
}

// pooled reports whether this machine is to hold an address of a pool.
func (c *cloudFindings) pooled() bool { return c.selector != "" }

// inPool reports whether an IP address is one of the pool.
func (c *cloudFindings) inPool(a netip.Addr) bool {
	return slices.ContainsFunc(c.pool, func(p eip.Address) bool { return p.Public == a })
}

// noPool is why nothing of AWS is tested.
const noPool = "no eip.pool is configured, so l4fwd asks nothing of AWS"

// testCloud asks AWS about this machine, its address, and its group.
func (x *examination) testCloud(ctx context.Context) (c cloudFindings) {
	if x.Cloud == nil {
		c.steps = []Step{skip(Step{Kind: Metadata}, noPool)}
		return c
	}
	c.selector = x.Cloud.Pool.String()
	var a *account
	var err error
	metadata := measure(ctx, awsTime, Step{Kind: Metadata}, func(ctx context.Context, s *Step) { a, err = c.locate(ctx, s) })
	if err != nil && metadata.State != Failed {
		a, err = ownAccount(ctx)
	}
	c.steps = []Step{metadata}
	if err != nil {
		because, then := "AWS cannot be asked: "+err.Error(), "AWS cannot be asked: see the step pool"
		if metadata.State == Failed {
			because, then = failedStep(Metadata), failedStep(Metadata)
		}
		for _, k := range []Kind{Pool, Address, Holders, Permission, Hooks, TargetHealth, Endpoints} {
			c.steps = append(c.steps, skip(Step{Kind: k}, because))
			because = then
		}
		return c
	}
	c.testAccount(ctx, x.Cloud, a)
	return c
}

// account are the services of AWS that are asked.
type account struct {
	ec2       eip.Client
	endpoints eip.EndpointClient
	scaling   lifecycle.Client
	inspector lifecycle.Inspector
}

// ownAccount is the account of a person off EC2, who may have credentials.
func ownAccount(ctx context.Context) (*account, error) {
	ctx, cancel := context.WithTimeout(ctx, awsTime)
	defer cancel()
	cfg, err := eip.LoadConfig(ctx)
	if err != nil {
		return nil, err
	}
	return &account{eip.NewClient(cfg), eip.NewEndpointClient(cfg), lifecycle.NewClient(cfg), lifecycle.NewInspector(cfg)}, nil
}

// locate finds out which instance this is. That it is none is no fault.
func (c *cloudFindings) locate(ctx context.Context, s *Step) (*account, error) {
	if err := instance.Present(ctx); err != nil {
		*s = skip(*s, err.Error())
		return nil, err
	}
	cfg, id, err := instance.Load(ctx)
	switch {
	case err == nil:
	case errors.Is(err, instance.ErrHopLimit):
		s.fail("the instance metadata; their hop limit is too small for a container",
			"the token that the metadata service sends may make one hop, and a container behind a bridge is two away: no address can be claimed, and there are no credentials",
			"aws ec2 modify-instance-metadata-options --instance-id \"$(ec2-metadata --instance-id --quiet)\" --http-put-response-hop-limit 2    # on the instance itself",
			"or run the container with the network of the host")
	case errors.Is(err, instance.ErrNotEC2), errors.Is(err, instance.ErrDisabled):
		*s = skip(*s, err.Error())
	case errors.Is(err, instance.ErrTask):
		s.fail("the ECS task; it has a network interface of its own", err.Error(), "networkMode: host in the task definition")
	default:
		s.fail("the instance metadata; they cannot be read", err.Error(), "curl -si -X PUT http://169.254.169.254/latest/api/token -H 'X-aws-ec2-metadata-token-ttl-seconds: 60'")
	}
	if err != nil {
		s.Evidence = err.Error()
		return nil, err
	}
	c.id = id
	public, readErr := instance.NewMetadata(cfg).PublicIPv4(ctx)
	c.public = public
	s.Evidence = fmt.Sprintf("%s in %s, interface %s with %s, public address %s", c.id.Instance, c.id.Region, c.id.Interface, c.id.PrivateIP, orNone(public))
	if readErr != nil {
		s.Evidence += " (" + readErr.Error() + ")"
	}
	return &account{eip.NewClient(cfg), eip.NewEndpointClient(cfg), lifecycle.NewClient(cfg), lifecycle.NewInspector(cfg)}, nil
}

// orNone is an address for a person.
func orNone(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}

// testAccount asks for everything that needs credentials: first the pool and the group, then what depends on them.
func (c *cloudFindings) testAccount(ctx context.Context, o *Cloud, a *account) {
	var pool, group Step
	var wg sync.WaitGroup
	wg.Go(func() {
		pool = measure(ctx, awsTime, Step{Kind: Pool, Subject: c.selector}, func(ctx context.Context, s *Step) { c.list(ctx, o, a, s) })
	})
	wg.Go(func() {
		group = measure(ctx, awsTime, Step{Kind: Permission, Subject: "autoscaling:DescribeAutoScalingInstances"}, func(ctx context.Context, s *Step) { c.find(ctx, o, a, s) })
	})
	wg.Wait()
	parts := []func() []Step{
		func() []Step { return c.sized(ctx, a, pool) },
		func() []Step { return []Step{c.held()} },
		func() []Step { return []Step{c.holders(ctx, a)} },
		func() []Step {
			return append(c.permissions(ctx, o, a), append([]Step{group}, c.hookPermissions(ctx, a)...)...)
		},
		func() []Step { return c.hooks(ctx, o, a) },
		func() []Step { return []Step{c.targetHealth(ctx, a)} },
		func() []Step { return []Step{c.endpoints(ctx, a)} },
	}
	results := make([][]Step, len(parts))
	for i, part := range parts {
		wg.Go(func() { results[i] = part() })
	}
	wg.Wait()
	c.steps = append(c.steps, slices.Concat(results...)...)
}

// list lists the pool.
func (c *cloudFindings) list(ctx context.Context, o *Cloud, a *account, s *Step) {
	all, err := eip.List(ctx, a.ec2, o.Pool)
	var denied *eip.PermissionError
	switch {
	case errors.As(err, &denied):
		*s = skip(*s, denied.Action+" is not permitted")
		return
	case err != nil && ctx.Err() != nil:
		s.Evidence = unanswered(ctx, err)
		s.fail("EC2; it does not answer", "without a way to EC2 no address can be claimed, and those that are held cannot be verified",
			"aws ec2 describe-addresses", "check AWS_REGION and the route to EC2: an interface endpoint for ec2, or a public address")
		return
	case err != nil:
		s.Evidence = brief(err, "list the pool "+c.selector+": ", "list the pool: ")
		if strings.Contains(err.Error(), "no AWS credentials") {
			s.fail("the credentials; AWS is asked without any", "the instance has no role, or the metadata service gives none", "aws ec2 associate-iam-instance-profile --instance-id "+word(c.id.Instance)+" --iam-instance-profile Name=l4fwd")
			return
		}
		s.fail("the pool; "+s.Evidence, "without the pool no address can be claimed", "aws ec2 describe-addresses", "check eip.pool, AWS_REGION and the route to EC2 (an interface endpoint for ec2, or a public address)")
		return
	}
	c.pool = all
	free := 0
	for _, one := range all {
		if one.Free() {
			free++
		}
	}
	s.Evidence = fmt.Sprintf("%d addresses, %d free", len(all), free)
}

// unanswered is an error of AWS in a few words, where the time of its step ran out.
func unanswered(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return "no answer in " + awsTime.String()
	}
	return err.Error()
}

// find finds the group of the instance.
func (c *cloudFindings) find(ctx context.Context, o *Cloud, a *account, s *Step) {
	if because := c.unasked(o); because != "" {
		*s = skip(*s, because)
		return
	}
	m, err := lifecycle.Find(ctx, a.scaling, c.id)
	if err != nil {
		judgePermission(s, err)
		return
	}
	c.group = m
	s.Evidence = "permitted; the instance is in no group"
	if m.Group != "" {
		s.Evidence = fmt.Sprintf("permitted; the instance is in the group %s, %s", m.Group, m.State)
	}
}

// unasked is why Auto Scaling is not asked about this machine; empty: it is.
func (c *cloudFindings) unasked(o *Cloud) string {
	switch {
	case c.id.Instance == "":
		return "this machine is no EC2 instance"
	case !o.Groups:
		return "lifecycle.asg is off"
	}
	return ""
}

// judgePermission says which permission is missing, or why it could not be tested.
func judgePermission(s *Step, err error) {
	var ec2 *eip.PermissionError
	var scaling *lifecycle.DeniedError
	statement := ""
	switch {
	case err == nil:
		s.Evidence = "permitted"
		return
	case errors.As(err, &ec2):
		statement = ec2.Statement()
	case errors.As(err, &scaling):
		statement = scaling.Statement()
	case errors.Is(err, eip.ErrNoAddress):
		*s = skip(*s, err.Error())
		return
	case strings.Contains(err.Error(), "no AWS credentials"):
		*s = skip(*s, "there are no AWS credentials")
		return
	default:
		s.Evidence = err.Error()
		s.warn("whether the role has this permission could not be tested", "check the route to the API: an interface endpoint in the VPC, or a public address")
		return
	}
	s.Evidence = "not permitted"
	s.fail("IAM; the role lacks "+s.Subject, "the role of this instance has no policy that allows it, or a boundary or an organisation's policy forbids it",
		"aws iam put-role-policy --role-name ROLE --policy-name l4fwd-doctor --policy-document "+word(`{"Version":"2012-10-17","Statement":[`+statement+`]}`),
		"compare the role with deploy/iam")
}
