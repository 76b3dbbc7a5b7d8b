package instance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// Why there is no identity. Each is wrapped by an error that says what to do.
var (
	// ErrNotEC2 means that no instance metadata service is there.
	ErrNotEC2 = errors.New("this machine is no EC2 instance, or its metadata service cannot be reached")
	// ErrDisabled means that the metadata service is switched off, in the environment or for the instance.
	ErrDisabled = errors.New("the instance metadata service is switched off")
	// ErrHopLimit means that the metadata service is there, but its tokens do not reach this container.
	ErrHopLimit = errors.New("the instance metadata service answers, but its token does not reach this container")
	// ErrTask means that the container's task has a network interface of its own, which cannot have an Elastic IP.
	ErrTask = errors.New("a task with a network interface of its own cannot have an Elastic IP")
)

// prober asks the metadata service without a token, and returns the HTTP status of its answer. Any answer, also a
// refusal, says that the service is there.
type prober func(context.Context) (status int, err error)

// explain makes the SDK's error one that an operator can act on.
func explain(ctx context.Context, err error, ask prober) error {
	if strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		return fmt.Errorf("%w by AWS_EC2_METADATA_DISABLED=true: remove it, or set no eip.pool", ErrDisabled)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	// The SDK keeps the status of a refused token to itself.
	code, silent := ask(context.WithoutCancel(ctx))
	switch {
	case silent != nil:
		return fmt.Errorf("%w (%s: %s); an Elastic IP can be claimed on EC2 only: set no eip.pool elsewhere", ErrNotEC2, endpoint(), brief(err))
	case code == http.StatusForbidden:
		return fmt.Errorf("%w for this instance: aws ec2 modify-instance-metadata-options --http-endpoint enabled --instance-id …", ErrDisabled)
	case code != http.StatusOK && code != http.StatusUnauthorized:
		return fmt.Errorf("the instance metadata service at %s answers %d %s", endpoint(), code, http.StatusText(code))
	case status(err) != 0:
		return fmt.Errorf("the instance metadata service at %s: %w", endpoint(), err)
	}
	// The token, and only it, is sent with the hop limit as time to live. A refusal for want of a token, or an answer of
	// the first version, which needs none, does arrive.
	return fmt.Errorf("%w: the hop limit of the instance is too small; set it to 2 with "+
		"aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2 --instance-id …, "+
		"or run the container with the network of the host", ErrHopLimit)
}

// endpoint is where the SDK asks, as far as the environment says.
func endpoint() string {
	if e := os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"); e != "" {
		return strings.TrimSuffix(e, "/")
	}
	if strings.EqualFold(os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), "IPv6") {
		return "http://[fd00:ec2::254]"
	}
	return "http://169.254.169.254"
}

// probe makes a prober with the client that the SDK used.
func probe(client aws.HTTPClient) prober {
	if client == nil {
		client = awshttp.NewBuildableClient()
	}
	return func(ctx context.Context) (int, error) {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint()+"/latest/meta-data/", nil)
		if err != nil {
			return 0, err
		}
		answer, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		return answer.StatusCode, answer.Body.Close()
	}
}

// brief is the cause, without the SDK's account of how often it tried and of what.
func brief(err error) string {
	text := err.Error()
	if strings.Contains(text, "timeout") || strings.Contains(text, "deadline") {
		return "no answer"
	}
	if i := strings.LastIndex(text, "connect: "); i >= 0 {
		return text[i+len("connect: "):]
	}
	return text
}
