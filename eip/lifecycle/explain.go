package lifecycle

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
)

// noAction reports that the hook does not wait: somebody completed it, or it timed out.
func noAction(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationError" && strings.Contains(api.ErrorMessage(), "No active Lifecycle Action")
}

// denied reports that a permission is missing.
func denied(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation":
		return true
	}
	return false
}

// explain says what an action failed for; for a missing permission, which one it is.
func (g *group) explain(action string, err error) error {
	switch {
	case err == nil:
		return nil
	case denied(err):
		return fmt.Errorf("the role of this instance needs autoscaling:%s on %s: %w", action, g.resource(action), err)
	}
	return fmt.Errorf("autoscaling:%s: %w", action, err)
}

// resource is what the permission for an action is given on. The describing ones know no resources.
func (g *group) resource(action string) string {
	if strings.HasPrefix(action, "Describe") {
		return "*"
	}
	account := g.id.Account
	if account == "" {
		account = "*"
	}
	return fmt.Sprintf("arn:%s:autoscaling:%s:%s:autoScalingGroup:*:autoScalingGroupName/%s", partition(g.id.Region), g.id.Region, account, g.name)
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// brief is an error without the SDK's account of the request: our words, then the code and the message of AWS.
func brief(err error) string {
	var op *smithy.OperationError
	var api smithy.APIError
	if errors.As(err, &op) && errors.As(err, &api) {
		ours, _, _ := strings.Cut(err.Error(), ": "+op.Error())
		// What follows in a denial is a thousand letters for aws sts decode-authorization-message.
		message, _, _ := strings.Cut(api.ErrorMessage(), " Encoded authorization failure message:")
		return ours + ": " + api.ErrorCode() + ": " + message
	}
	return err.Error()
}
