package eip

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// LoadConfig returns the SDK's configuration for a verb that a person runs: from the standard environment, with the region of the
// instance metadata if that names none. It gets credentials once, so that their absence is reported at once and not as a
// failure of the first call. Its errors say what to set.
func LoadConfig(ctx context.Context) (aws.Config, error) {
	// Without this the SDK writes warnings to standard error, which its errors repeat.
	quiet := config.WithLogger(logging.Nop{})
	base, err := config.LoadDefaultConfig(ctx, quiet)
	if err != nil {
		return base, fmt.Errorf("load the AWS configuration: %w", err)
	}
	metadata := imds.NewFromConfig(base, impatient)
	cfg, err := config.LoadDefaultConfig(ctx, quiet,
		config.WithEC2IMDSRegion(func(o *config.UseEC2IMDSRegion) { o.Client = metadata }),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) { o.Client = metadata }))
	var op *smithy.OperationError
	switch {
	case errors.As(err, &op) && op.Operation() == "GetRegion", err == nil && cfg.Region == "":
		return cfg, errors.New("no AWS region: set AWS_REGION; the environment and the AWS profile name none, and the instance metadata service has none")
	case err != nil:
		return cfg, fmt.Errorf("load the AWS configuration: %w", err)
	}
	if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		return cfg, errors.New(noCredentials(err))
	}
	return cfg, nil
}

// impatient makes a client of the instance metadata try twice within a second: off EC2 nobody answers, and the SDK's three attempts
// take four seconds.
func impatient(o *imds.Options) {
	o.DisableDefaultMaxBackoff = true // it would replace MaxBackoff
	o.Retryer = retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = 2, 100*time.Millisecond })
}

// noCredentials is the message for the error of a call, or of a provider, that got no credentials.
func noCredentials(err error) string {
	return "no AWS credentials (" + credentialsCause(err) + "): give the instance a role, " +
		"or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
}

// credentialsCause is why there are no credentials, without the chain of providers that the SDK wraps around it. The instance
// metadata are asked last, so their failure says nothing about a key that is incomplete.
func credentialsCause(err error) string {
	key, secret := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	text := err.Error()
	var sent *url.Error
	var answer *smithyhttp.ResponseError
	switch {
	case key != "" && secret == "":
		return "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"
	case key == "" && secret != "":
		return "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not"
	case strings.Contains(text, "access disabled to EC2 IMDS"):
		return "none in the environment, and AWS_EC2_METADATA_DISABLED is true"
	case strings.Contains(text, "IMDS role") && errors.As(err, &sent):
		return "none in the environment, and no instance metadata service answers"
	case strings.Contains(text, "IMDS role") && errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusNotFound:
		return "none in the environment, and this instance has no role"
	}
	return strings.TrimSpace(text[strings.LastIndex(text, ", ")+1:])
}
