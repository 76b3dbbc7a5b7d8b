package eip

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"
)

// A denial of EC2 ends with a coded message of a thousand letters, which is of no use in a log line or in /readyz.
func TestTheCodedPartOfADenialIsLeftOut(t *testing.T) {
	denied := &smithy.GenericAPIError{Code: "UnauthorizedOperation",
		Message: "You are not authorized. Encoded authorization failure message: " + strings.Repeat("x", 1000)}
	err := explain("list the pool", &smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeAddresses", Err: denied}, opDescribe, "", "")
	require.EqualError(t, err, "list the pool: ec2:DescribeAddresses on * is not permitted (UnauthorizedOperation: You are not authorized.); "+
		`add to the role's policy: {"Effect":"Allow","Action":"ec2:DescribeAddresses","Resource":["*"]}`)
}

func TestBriefKeepsWhatItDoesNotKnow(t *testing.T) {
	require.Equal(t, "a: b", brief(fmt.Errorf("a: %w", errors.New("b"))))
}
