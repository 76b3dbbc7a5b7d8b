package eip

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// brief is the error in the operator's words, without the operation and the request that the SDK wraps around it.
func brief(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return briefAnswer(err, api)
	}
	if withoutCredentials(err) {
		return noCredentials(err)
	}
	var sent *url.Error
	if errors.As(err, &sent) {
		return briefNoAnswer(sent)
	}
	var op *smithy.OperationError
	if !errors.As(err, &op) {
		return err.Error()
	}
	if strings.Contains(op.Err.Error(), "Failed to parse uri") {
		return op.Err.Error() + ": AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL begin with http:// or https://"
	}
	return op.Err.Error()
}

// briefAnswer is brief for an answer: of EC2, or of another server in its place, for which the SDK has no message of its own.
func briefAnswer(err error, api smithy.APIError) string {
	var answer *awshttp.ResponseError
	switch {
	case api.ErrorCode() == "UnknownError" && errors.As(err, &answer):
		return fmt.Sprintf("HTTP status %d without an error of EC2: the endpoint is another server, or a proxy answers in its place", answer.HTTPStatusCode())
	case api.ErrorMessage() == "":
		return api.ErrorCode()
	}
	// The rest of a denial is a thousand characters for aws sts decode-authorization-message.
	message, _, _ := strings.Cut(api.ErrorMessage(), " Encoded authorization failure message:")
	return api.ErrorCode() + ": " + message
}

// briefNoAnswer is brief for a request without an answer.
func briefNoAnswer(sent *url.Error) string {
	cause := sent.Err.Error()
	if errors.Is(sent.Err, context.DeadlineExceeded) {
		cause = "no answer in time"
	}
	return fmt.Sprintf("EC2 cannot be reached at %s: %s; check AWS_REGION and AWS_ENDPOINT_URL_EC2; "+
		"without a public address it takes an interface endpoint for ec2 in the VPC", sent.URL, cause)
}

// withoutCredentials reports whether the SDK made no call because it found no credentials. It has no error type for that.
func withoutCredentials(err error) bool {
	var op *smithy.OperationError
	return errors.As(err, &op) && strings.Contains(op.Err.Error(), "get identity: get credentials:") // after the SDK's count of attempts
}
