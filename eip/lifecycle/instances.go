package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
)

// maxInstances is how many instances one call of DescribeAutoScalingInstances takes.
const maxInstances = 50

// InstanceStates returns the lifecycle states of those of the instances that are in an Auto Scaling group, by instance id. It makes a
// call for each 50 of them, none without instances. The error names the action, for a missing permission too.
func InstanceStates(ctx context.Context, client Client, instances []string) (map[string]string, error) {
	states := map[string]string{}
	for some := range slices.Chunk(instances, maxInstances) {
		out, err := client.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: some})
		if err != nil {
			return nil, errors.New(brief(fmt.Errorf("autoscaling:DescribeAutoScalingInstances: %w", err)))
		}
		for _, i := range out.AutoScalingInstances {
			states[aws.ToString(i.InstanceId)] = aws.ToString(i.LifecycleState)
		}
	}
	return states, nil
}

// IsRetained reports whether a lifecycle state is that of a retained instance: Terminating:Retained, Warmed:Pending:Retained or
// Warmed:Terminating:Retained. Auto Scaling keeps such an instance outside of the desired capacity until somebody terminates it,
// because a termination hook was abandoned or timed out and the group's instance lifecycle policy says so.
func IsRetained(state string) bool {
	return state == "Retained" || strings.HasSuffix(state, ":Retained")
}
