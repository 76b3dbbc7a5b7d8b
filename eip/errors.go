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

// result is the outcome of a call; its name is in ResultNames.
type result int

const (
	resultOK          result = iota
	resultTaken              // the address, or our interface, has an association already
	resultGone               // there is no such address or association
	resultThrottled          // no effect: too many calls
	resultDenied             // no effect: no permission, or no valid credentials
	resultUnreachable        // no answer, or an internal error: it may have taken effect or not
	resultError              // no effect, for any other reason
)

func (r result) String() string { return ResultNames[r] }

// results maps those error codes of EC2 that the keeper treats apart.
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

// resultOf classifies the error of a call; nil is resultOK.
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
	noCode := api.ErrorCode() == "" || api.ErrorCode() == "UnknownError" // the SDK's word for an answer that is not EC2's
	if noCode || errors.As(err, &answer) && answer.HTTPStatusCode() >= http.StatusInternalServerError {
		return resultUnreachable
	}
	return resultError
}

// isTransient reports whether the next attempt may succeed after this refusal: the SDK may have new credentials by then, or
// know how wrong the clock is.
func isTransient(err error) bool {
	return withoutCredentials(err) || slices.Contains(transientCodes, code(err))
}

// transientCodes are the error codes of such refusals.
var transientCodes = []string{"AuthFailure", "ExpiredToken", "InvalidClientTokenId", "RequestExpired", "SignatureDoesNotMatch"}

// PermissionError says which permission is missing and how to grant it.
type PermissionError struct {
	Action    string   // ec2:AssociateAddress
	Resources []string // ARNs with * for region and account
	Err       error    // the answer of EC2
}

// Error names the action, the resources and the policy statement that allows it.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s on %s is not permitted (%s); add to the role's policy: %s",
		e.Action, strings.Join(e.Resources, ", "), brief(e.Err), e.Statement())
}

func (e *PermissionError) Unwrap() error { return e.Err }

// Statement is the statement of an IAM policy that grants the permission, as JSON.
func (e *PermissionError) Statement() string {
	text, _ := json.Marshal(struct { // of strings only: it cannot fail
		Effect, Action string
		Resource       []string
	}{"Allow", e.Action, e.Resources})
	return string(text)
}

// explain wraps the error of a call in words that say what to do. what is a verb phrase such as "claim eipalloc-0a". A missing
// permission becomes a *PermissionError for op on the address and the interface; both ids may be empty.
func explain(what string, err error, op operation, allocation, eni string) error {
	if denied(err) {
		return fmt.Errorf("%s: %w", what, &PermissionError{op.action(), op.resources(allocation, eni), err})
	}
	return fmt.Errorf("%s: %w", what, errors.New(brief(err)))
}

// denied reports that a permission is missing.
func denied(err error) bool {
	return code(err) == "UnauthorizedOperation" || code(err) == "AccessDenied"
}

// code is the error code of EC2; empty if err is not an answer of EC2.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}
