package eip

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// result is how a call ended; its name is in ResultNames.
type result int

const (
	resultOK          result = iota
	resultTaken              // the address, or our interface, has an association already
	resultGone               // there is no such address or association
	resultThrottled          // nothing happened: too many calls
	resultDenied             // nothing happened: no permission, or no valid credentials
	resultUnreachable        // no answer, or an internal error: it may have happened or not
	resultError              // nothing happened, for any other reason
)

func (r result) String() string { return ResultNames[r] }

// results are the error codes of EC2 that are more than an error.
// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
var results = map[string]result{
	"Resource.AlreadyAssociated":    resultTaken,
	"InvalidIPAddress.InUse":        resultTaken,
	"InvalidAllocationID.NotFound":  resultGone,
	"InvalidAddress.NotFound":       resultGone,
	"InvalidAddressID.NotFound":     resultGone,
	"InvalidAssociationID.NotFound": resultGone,
	"UnauthorizedOperation":         resultDenied,
	"AccessDenied":                  resultDenied,
	"AuthFailure":                   resultDenied,
	"Blocked":                       resultDenied,
	"ExpiredToken":                  resultDenied,
	"InvalidClientTokenId":          resultDenied,
	"OptInRequired":                 resultDenied,
	"RequestExpired":                resultDenied,
	"SignatureDoesNotMatch":         resultDenied,
	"InternalError":                 resultUnreachable,
	"InternalFailure":               resultUnreachable,
	"ServerInternal":                resultUnreachable,
	"ServiceUnavailable":            resultUnreachable,
	"Unavailable":                   resultUnreachable,
}

func resultOf(err error) result {
	if err == nil {
		return resultOK
	}
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
	case withoutCredentials(err): // the call was not made
		return resultDenied
	default:
		return resultUnreachable
	}
	if r, known := results[api.ErrorCode()]; known {
		return r
	}
	if _, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]; throttled {
		return resultThrottled
	}
	var answer *smithyhttp.ResponseError
	noCode := api.ErrorCode() == "" || api.ErrorCode() == "UnknownError" // the SDK's, for an answer that is not of EC2
	if noCode || errors.As(err, &answer) && answer.HTTPStatusCode() >= http.StatusInternalServerError {
		return resultUnreachable
	}
	return resultError
}

// passes reports whether a refusal is one that the next attempt may not meet: the SDK has other credentials by then, or
// knows how wrong the clock is.
func passes(err error) bool { return withoutCredentials(err) || slices.Contains(passing, code(err)) }

// passing are their codes.
var passing = []string{"AuthFailure", "ExpiredToken", "InvalidClientTokenId", "RequestExpired", "SignatureDoesNotMatch"}

// PermissionError says which permission is missing, and how to give it.
type PermissionError struct {
	Action    string   // ec2:AssociateAddress
	Resources []string // ARNs with * for region and account
	Err       error    // what EC2 said
}

// Error names the action, the resources and the statement that allows it.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s on %s is not permitted (%s); add to the role's policy: %s",
		e.Action, strings.Join(e.Resources, ", "), brief(e.Err), e.Statement())
}

func (e *PermissionError) Unwrap() error { return e.Err }

// Statement is the statement of an IAM policy that gives the permission, as JSON.
func (e *PermissionError) Statement() string {
	text, _ := json.Marshal(struct { // of texts only: it cannot fail
		Effect, Action string
		Resource       []string
	}{"Allow", e.Action, e.Resources})
	return string(text)
}

// explain wraps the error of a call so that a person knows what to do. what is a verb phrase: claim eipalloc-0a.
func explain(what string, err error, op operation, allocation, eni string) error {
	if code(err) == "UnauthorizedOperation" || code(err) == "AccessDenied" {
		return fmt.Errorf("%s: %w", what, &PermissionError{op.action(), op.resources(allocation, eni), err})
	}
	return fmt.Errorf("%s: %w", what, errors.New(brief(err)))
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
