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

// validation reports that Auto Scaling has looked at a call and refused what it names: the call itself is permitted.
func validation(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == "ValidationError"
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

// explain wraps the error of an action with its name; for a missing permission, with the permission and the resource. nil stays nil.
func (g *group) explain(action string, err error) error {
	switch {
	case err == nil:
		return nil
	case denied(err):
		return fmt.Errorf("the role of this instance needs autoscaling:%s on %s: %w", action, g.resource(action), err)
	}
	return fmt.Errorf("autoscaling:%s: %w", action, err)
}

// resource is the ARN on which an action needs its permission. Describing actions cannot be narrowed.
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

// partition is the first part of the ARNs of a region.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// brief is the text of an error without the request that the SDK describes in it: our words, then the code and message of AWS.
func brief(err error) string {
	var op *smithy.OperationError
	var api smithy.APIError
	if errors.As(err, &op) && errors.As(err, &api) {
		ours, _, _ := strings.Cut(err.Error(), ": "+op.Error())
		// The rest of a denial is a thousand characters for aws sts decode-authorization-message.
		message, _, _ := strings.Cut(api.ErrorMessage(), " Encoded authorization failure message:")
		return ours + ": " + api.ErrorCode() + ": " + message
	}
	return err.Error()
}
