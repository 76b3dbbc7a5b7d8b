package answer_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/answer"
)

// fixed answers every request with the same body.
type fixed struct {
	status int
	body   io.Reader
	closed *bool
}

func (f fixed) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: f.status, Header: http.Header{"Content-Type": {"text/xml"}}, Request: r,
		Body: body{f.body, f.closed}}, nil
}

type body struct {
	io.Reader
	closed *bool
}

func (b body) Close() error {
	if b.closed != nil {
		*b.closed = true
	}
	return nil
}

// list asks for the addresses, over a transport, with the check of a service.
func list(t *testing.T, s answer.Service, transport http.RoundTripper) (*ec2.DescribeAddressesOutput, error) {
	client := ec2.New(ec2.Options{
		Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), Retryer: aws.NopRetryer{},
		HTTPClient: &http.Client{Transport: transport},
	}, func(o *ec2.Options) { o.APIOptions = append(o.APIOptions, s.Genuine) })
	return client.DescribeAddresses(t.Context(), &ec2.DescribeAddressesInput{})
}

const genuine = `<?xml version="1.0"?><DescribeAddressesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><addressesSet>` +
	`<item><publicIp>198.51.100.1</publicIp><allocationId>eipalloc-1</allocationId></item></addressesSet></DescribeAddressesResponse>`

// What the SDK reads of an answer is the same as without the check, and the connection can be used again.
func TestGenuineAnswersAreLeftAsTheyAre(t *testing.T) {
	closed := false
	out, err := list(t, answer.Service{Name: "EC2"}, fixed{200, strings.NewReader(genuine), &closed})
	require.NoError(t, err)
	require.Len(t, out.Addresses, 1)
	require.Equal(t, "198.51.100.1", aws.ToString(out.Addresses[0].PublicIp))
	require.True(t, closed)
}

// The SDK takes any answer with status 200 for a success, and reads an empty listing from a page.
func TestAnswersOfOthersAreErrors(t *testing.T) {
	ec2Service := answer.Service{Name: "EC2"}
	withResult := answer.Service{Name: "Auto Scaling", Result: true}
	for name, c := range map[string]struct {
		service answer.Service
		status  int
		body    string
		want    string // empty: no error
	}{
		"nothing":                {ec2Service, 200, "", `the answer is not of EC2: it begins with ""`},
		"a page":                 {ec2Service, 200, "<html><body>welcome</body></html>", `the answer is not of EC2: it begins with "<html><body>welcome</body></html>"`},
		"a long page":            {ec2Service, 200, "\n " + strings.Repeat("x", 100), `it begins with "` + strings.Repeat("x", 40) + `"`},
		"text":                   {ec2Service, 299, "OK", `the answer is not of EC2: it begins with "OK"`},
		"another operation":      {ec2Service, 200, "<AllocateAddressResponse/>", "the answer is not of EC2"},
		"the root inside":        {ec2Service, 200, "<x><DescribeAddressesResponse/></x>", "the answer is not of EC2"},
		"no items":               {ec2Service, 200, "<DescribeAddressesResponse/>", ""},
		"cut short":              {ec2Service, 200, genuine[:len(genuine)-40], "unexpected EOF"},
		"result is missing":      {withResult, 200, "<DescribeAddressesResponse/>", "the answer is not of Auto Scaling"},
		"result too deep":        {withResult, 200, "<DescribeAddressesResponse><x><DescribeAddressesResult/></x></DescribeAddressesResponse>", "the answer is not of Auto Scaling"},
		"result in second place": {withResult, 200, "<DescribeAddressesResponse><y>1</y><DescribeAddressesResult/></DescribeAddressesResponse>", ""},
		"a refusal with a page":  {ec2Service, 403, "<html>denied</html>", "403"},
		"a redirect":             {ec2Service, 300, "<html>elsewhere</html>", "300"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := list(t, c.service, fixed{c.status, strings.NewReader(c.body), nil})
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
			if c.status >= 300 {
				require.NotContains(t, err.Error(), "the answer is not of", "an error that the service declares is the SDK's to read")
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestAnswersThatBreakOff(t *testing.T) {
	_, err := list(t, answer.Service{Name: "EC2"}, fixed{200, broken{}, nil})
	require.ErrorContains(t, err, "read the answer: connection reset")
}
