package eip

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// environment is that of a process with nothing in it but what is given.
func environment(t *testing.T, values map[string]string) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ROLE_ARN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(name, values[name])
	}
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
}

// nobody is the address of a server that has ended.
func nobody() string {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	return s.URL
}

// Without credentials on a laptop, eip list used to say after eight seconds that EC2 cannot be reached, which had not been asked.
func TestMissingCredentialsAreToldBeforeAnyCall(t *testing.T) {
	const advice = "): give the instance a role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	machine := httptest.NewServer(sim.NewMetadata(sim.Machine{Region: "eu-west-1"}))
	defer machine.Close()
	for name, c := range map[string]struct {
		set  map[string]string
		want string
	}{
		"nothing":               {map[string]string{}, "none in the environment, and no instance metadata service answers"},
		"a key without secret":  {map[string]string{"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE"}, "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not"},
		"a secret without key":  {map[string]string{"AWS_SECRET_ACCESS_KEY": "s"}, "AWS_SECRET_ACCESS_KEY is set, AWS_ACCESS_KEY_ID is not"},
		"both, but the profile": {map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "none in the environment, and no instance"},
		"metadata off":          {map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}, "none in the environment, and AWS_EC2_METADATA_DISABLED is true"},
		"an instance without a role": {map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.URL},
			"none in the environment, and this instance has no role"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.set["AWS_EC2_METADATA_SERVICE_ENDPOINT"] == "" {
				c.set["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = nobody()
			}
			c.set["AWS_REGION"] = "eu-west-1"
			environment(t, c.set)
			began := time.Now()
			_, err := LoadConfig(t.Context())
			require.Error(t, err)
			require.Contains(t, err.Error(), "no AWS credentials ("+c.want)
			require.Contains(t, err.Error(), advice)
			require.Less(t, time.Since(began), 3*time.Second, "two attempts within a second, and time for a busy machine")
		})
	}
}

func TestConfigurationOfAnInstance(t *testing.T) {
	metadata := sim.NewMetadata(sim.Machine{Region: "eu-west-1"})
	metadata.Set("iam/security-credentials/", "forwarder")
	metadata.Set("iam/security-credentials/forwarder", `{"Code":"Success","AccessKeyId":"AKIDEXAMPLE","SecretAccessKey":"s","Token":"t","Expiration":"2099-01-01T00:00:00Z"}`)
	machine := httptest.NewServer(metadata)
	defer machine.Close()
	environment(t, map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.URL})
	cfg, err := LoadConfig(t.Context())
	require.NoError(t, err)
	require.Equal(t, "eu-west-1", cfg.Region)
	key, err := cfg.Credentials.Retrieve(t.Context())
	require.NoError(t, err)
	require.Equal(t, "AKIDEXAMPLE", key.AccessKeyID)

	environment(t, map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": nobody(), "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s"})
	_, err = LoadConfig(t.Context())
	require.ErrorContains(t, err, "no AWS region: set AWS_REGION")

	environment(t, map[string]string{"AWS_PROFILE": "missing", "AWS_EC2_METADATA_SERVICE_ENDPOINT": nobody()})
	_, err = LoadConfig(t.Context())
	require.ErrorContains(t, err, "load the AWS configuration: ")
	require.ErrorContains(t, err, "missing")
}

// A cause that has nothing to do with the environment is told as it is, also where a complete key is set.
func TestCauseOfMissingCredentials(t *testing.T) {
	environment(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "s"})
	require.Equal(t, "the SSO session has expired", credentialsCause(notSigned("")))
	require.Equal(t, "alone", credentialsCause(errors.New("alone")))
}

// Off EC2 nobody answers for the metadata service, and whoever types a command waits for its attempts.
func TestTheMetadataAreAskedTwiceWithinASecond(t *testing.T) {
	var o imds.Options
	impatient(&o)
	require.True(t, o.DisableDefaultMaxBackoff)
	require.Equal(t, 2, o.Retryer.MaxAttempts())
	for range 20 {
		pause, err := o.Retryer.RetryDelay(1, errors.New("connection refused"))
		require.NoError(t, err)
		require.LessOrEqual(t, pause, 100*time.Millisecond)
	}
}
