package eip

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/stretchr/testify/require"
)

// answered is an error of the SDK for an answer with an error code and an HTTP status, as a call of EC2 returns it.
func answered(code, message string, status int) error {
	response := &smithyhttp.Response{Response: &http.Response{StatusCode: status}}
	api := &smithy.GenericAPIError{Code: code, Message: message}
	return &smithy.OperationError{ServiceID: "EC2", OperationName: "AssociateAddress",
		Err: &awshttp.ResponseError{ResponseError: &smithyhttp.ResponseError{Response: response, Err: api}, RequestID: "r-1"}}
}

// unanswered is an error of the SDK for a request without an answer.
func unanswered(cause error) error {
	return &smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeAddresses",
		Err: &smithyhttp.RequestSendError{Err: &url.Error{Op: "Post", URL: "https://ec2.eu-west-1.amazonaws.com/", Err: cause}}}
}

// notSigned is an error of the SDK for a call that it did not make. attempts is what its own retries put before the cause.
func notSigned(attempts string) error {
	return &smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeAddresses",
		Err: errors.New(attempts + "get identity: get credentials: failed to refresh cached credentials, the SSO session has expired")}
}

// What a call did to the address decides what comes next: after a refusal nothing has happened, without an answer it may have.
func TestResultOfACall(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want result
	}{
		"success":                          {nil, resultOK},
		"in use":                           {answered("Resource.AlreadyAssociated", "m", 400), resultTaken},
		"in use, by its older name":        {answered("InvalidIPAddress.InUse", "m", 400), resultTaken},
		"no such allocation":               {answered("InvalidAllocationID.NotFound", "m", 400), resultGone},
		"no such address":                  {answered("InvalidAddress.NotFound", "m", 400), resultGone},
		"no such association":              {answered("InvalidAssociationID.NotFound", "m", 400), resultGone},
		"no permission":                    {answered("UnauthorizedOperation", "m", 403), resultDenied},
		"a wrong signature":                {answered("SignatureDoesNotMatch", "m", 403), resultDenied},
		"an old token":                     {answered("ExpiredToken", "m", 403), resultDenied},
		"an internal error":                {answered("InternalError", "m", 500), resultUnreachable},
		"unavailable":                      {answered("Unavailable", "m", 503), resultUnreachable},
		"throttled":                        {answered("RequestLimitExceeded", "m", 503), resultThrottled},
		"throttled, by another name":       {answered("Throttling", "m", 400), resultThrottled},
		"a page with 502":                  {answered("UnknownError", "", 502), resultUnreachable},
		"a page with 407":                  {answered("UnknownError", "", 407), resultUnreachable},
		"an answer without a code":         {answered("", "", 400), resultUnreachable},
		"an unknown code with 500":         {answered("Novel", "m", 500), resultUnreachable},
		"an unknown code with 499":         {answered("Novel", "m", 499), resultError},
		"a wrong parameter":                {answered("InvalidParameterValue", "m", 400), resultError},
		"no answer":                        {unanswered(errors.New("connection refused")), resultUnreachable},
		"not in time":                      {context.DeadlineExceeded, resultUnreachable},
		"no credentials":                   {notSigned(""), resultDenied},
		"no credentials in three attempts": {notSigned("exceeded maximum number of attempts, 3, "), resultDenied},
	} {
		require.Equal(t, c.want.String(), resultOf(c.err).String(), name)
	}
}

// A release goes on after a refusal only if the next attempt may be answered otherwise.
func TestRefusalsThatMayPass(t *testing.T) {
	for _, code := range []string{"AuthFailure", "ExpiredToken", "InvalidClientTokenId", "RequestExpired", "SignatureDoesNotMatch"} {
		require.True(t, isTransient(answered(code, "m", 403)), code)
	}
	require.True(t, isTransient(notSigned("")))
	for _, code := range []string{"UnauthorizedOperation", "AccessDenied", "Blocked", "OptInRequired", "InvalidParameterValue"} {
		require.False(t, isTransient(answered(code, "m", 403)), code)
	}
	require.False(t, isTransient(errors.New("x")))
}

func TestErrorsSayWhatToDo(t *testing.T) {
	const permission = `claim eipalloc-1: ec2:AssociateAddress on arn:aws:ec2:*:*:elastic-ip/eipalloc-1, arn:aws:ec2:*:*:network-interface/eni-1 is not permitted (%s: m); ` +
		`add to the role's policy: {"Effect":"Allow","Action":"ec2:AssociateAddress","Resource":["arn:aws:ec2:*:*:elastic-ip/eipalloc-1","arn:aws:ec2:*:*:network-interface/eni-1"]}`
	for _, c := range []struct {
		err  error
		want string
	}{
		{answered("UnauthorizedOperation", "m", 403), fmt.Sprintf(permission, "UnauthorizedOperation")},
		{answered("AccessDenied", "m", 403), fmt.Sprintf(permission, "AccessDenied")},
		{answered("Novel", "m", 400), "claim eipalloc-1: Novel: m"},
		{answered("Novel", "", 400), "claim eipalloc-1: Novel"},
		{answered("UnknownError", "", 404), "claim eipalloc-1: HTTP status 404 without an error of EC2: the endpoint is another server, or a proxy answers in its place"},
		{unanswered(errors.New("connection refused")), "claim eipalloc-1: EC2 cannot be reached at https://ec2.eu-west-1.amazonaws.com/: connection refused; " +
			"check AWS_REGION and AWS_ENDPOINT_URL_EC2; without a public address it takes an interface endpoint for ec2 in the VPC"},
		{unanswered(context.DeadlineExceeded), "claim eipalloc-1: EC2 cannot be reached at https://ec2.eu-west-1.amazonaws.com/: no answer in time; " +
			"check AWS_REGION and AWS_ENDPOINT_URL_EC2; without a public address it takes an interface endpoint for ec2 in the VPC"},
		{notSigned("exceeded maximum number of attempts, 3, "), "claim eipalloc-1: no AWS credentials (the SSO session has expired): give the instance a role, " +
			"or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
		{&smithy.OperationError{ServiceID: "EC2", OperationName: "X", Err: errors.New("Failed to parse uri: ec2")},
			"claim eipalloc-1: Failed to parse uri: ec2: AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL begin with http:// or https://"},
		{&smithy.OperationError{ServiceID: "EC2", OperationName: "X", Err: errors.New("other")}, "claim eipalloc-1: other"},
		{errors.New("plain"), "claim eipalloc-1: plain"},
	} {
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		require.EqualError(t, explain("claim eipalloc-1", c.err, opAssociate, "eipalloc-1", "eni-1"), c.want)
	}
}

// A missing permission can be found by its type, to be shown with the others that are missing.
func TestPermissionErrorIsAType(t *testing.T) {
	cause := answered("AccessDenied", "m", 403)
	err := explain("list the pool", cause, opDescribe, "", "")
	var p *PermissionError
	require.ErrorAs(t, err, &p)
	require.Equal(t, "ec2:DescribeAddresses", p.Action)
	require.Equal(t, []string{"*"}, p.Resources)
	require.ErrorIs(t, err, cause)
	require.False(t, errors.As(explain("list the pool", answered("Novel", "m", 400), opDescribe, "", ""), &p))
	require.Empty(t, code(errors.New("x")))
}

func TestResourcesOfAPermission(t *testing.T) {
	for _, op := range []operation{opAssociate, opDisassociate} {
		require.Equal(t, []string{"arn:aws:ec2:*:*:elastic-ip/*", "arn:aws:ec2:*:*:network-interface/eni-1"}, op.resources("", "eni-1"))
		require.Equal(t, []string{"arn:aws:ec2:*:*:elastic-ip/eipalloc-1", "arn:aws:ec2:*:*:network-interface/eni-1"}, op.resources("eipalloc-1", "eni-1"))
	}
	require.Equal(t, []string{"*"}, opDescribe.resources("eipalloc-1", "eni-1"))
	require.Equal(t, []string{"ec2:DescribeAddresses", "ec2:AssociateAddress", "ec2:DisassociateAddress"},
		[]string{opDescribe.action(), opAssociate.action(), opDisassociate.action()})
	require.Equal(t, OperationNames, []string{opDescribe.String(), opAssociate.String(), opDisassociate.String()})
}

// EC2 looks at the permission before anything else: whatever it says of the address, it has let the call pass.
func TestAnAnswerAboutTheAddressMeansPermitted(t *testing.T) {
	for code, want := range map[string]string{
		"DryRunOperation":               "",
		"Resource.AlreadyAssociated":    "",
		"InvalidIPAddress.InUse":        "",
		"InvalidAllocationID.NotFound":  "",
		"InvalidAssociationID.NotFound": "",
		"UnauthorizedOperation":         "AssociateAddress",
		"InternalError":                 "InternalError",
		"RequestLimitExceeded":          "RequestLimitExceeded",
	} {
		err := permitted(answered(code, "said EC2", http.StatusPreconditionFailed), opAssociate, "eipalloc-00000001", "eni-00000001")
		if want == "" {
			require.NoError(t, err, code)
			continue
		}
		require.ErrorContains(t, err, want)
		var denied *PermissionError
		require.Equal(t, code == "UnauthorizedOperation", errors.As(err, &denied), code)
	}
}
