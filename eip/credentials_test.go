package eip

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// role is the role of an instance, which may be missing.
type role struct{ missing atomic.Bool }

func (r *role) Retrieve(context.Context) (aws.Credentials, error) {
	if r.missing.Load() {
		return aws.Credentials{}, errors.New("failed to refresh cached credentials, no EC2 IMDS role found")
	}
	return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
}

// made returns how often an operation ended so.
func made(k *Keeper, operation, result string) uint64 {
	for _, o := range k.Stats().Operations {
		if o.Operation == operation && o.Result == result {
			return o.Count
		}
	}
	return 0
}

// An instance without a role was said not to reach EC2, which sends people to look at routes and security groups.
func TestMissingCredentialsAreADenialAndSaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, asked := newRegion(t, 1, 1, sim.EC2Options{}), &role{}
		asked.missing.Store(true)
		o := r.options(0)
		cfg := testConfig(r.Transport())
		cfg.Credentials = asked
		o.Client = NewClient(cfg)
		k, stop := run(t, o)
		defer stop()
		time.Sleep(time.Minute)
		require.EqualError(t, k.Check(), "list the pool: no AWS credentials (no EC2 IMDS role found): give the instance a role, "+
			"or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		require.NotZero(t, made(k, "describe", "denied"))
		require.Zero(t, made(k, "describe", "unreachable"))

		asked.missing.Store(false)
		until(t, time.Minute, held(k))
		asked.missing.Store(true)
		time.AfterFunc(10*time.Second, func() { asked.missing.Store(false) })
		require.NoError(t, k.Release(t.Context()), "credentials may come back while it is released")
		require.Empty(t, r.Holders())
		require.NotZero(t, made(k, "disassociate", "denied"))
	})
}

// That no credentials were had is told from a network that gives no answer.
func TestNoAnswerIsNoDenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{})
		o := r.options(0)
		o.Client = NewClient(testConfig(silence{}))
		k, stop := run(t, o)
		defer stop()
		time.Sleep(time.Minute)
		require.ErrorContains(t, k.Check(), "EC2 cannot be reached")
		require.NotZero(t, made(k, "describe", "unreachable"))
		require.Zero(t, made(k, "describe", "denied"))
	})
}

type silence struct{}

func (silence) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("connection refused")
}
