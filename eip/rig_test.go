package eip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/l4fwd/l4fwd/eip/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const poolTag = "l4fwd-pool"

// testConfig is a configuration of the SDK that knows no network.
func testConfig(transport http.RoundTripper) aws.Config {
	return aws.Config{
		Region:      "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "secret", ""),
		HTTPClient:  &http.Client{Transport: transport},
	}
}

// region is a simulated EC2 with a pool and one interface for each daemon.
type region struct {
	*sim.EC2
	t    testing.TB
	pool []string // allocations
}

func newRegion(t testing.TB, addresses, daemons int, o sim.EC2Options) *region {
	t.Helper()
	r := &region{EC2: sim.NewEC2(o), t: t}
	for range addresses {
		r.pool = append(r.pool, r.AddAddress(map[string]string{poolTag: "aoai"}))
	}
	for i := range daemons {
		r.AddInterface(eni(i), fmt.Sprintf("i-%017x", i), private(i))
	}
	return r
}

func eni(i int) string { return fmt.Sprintf("eni-%017x", i) }

func private(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }

func selector(t testing.TB, text string) Selector {
	t.Helper()
	s, err := ParseSelector(text)
	require.NoError(t, err)
	return s
}

// options are those of daemon i.
func (r *region) options(i int) Options {
	return Options{
		Client:    NewClient(testConfig(r.Transport())),
		Selector:  selector(r.t, "tag:"+poolTag+"=aoai"),
		Interface: eni(i),
		PrivateIP: private(i),
		Required:  true,
	}
}

// run starts a keeper that wants an address; stop ends it as a crash would.
func run(t testing.TB, o Options) (k *Keeper, stop func()) {
	t.Helper()
	k, stop = start(o)
	k.Want(true)
	return k, stop
}

// start is run for a keeper that wants none yet.
func start(o Options) (k *Keeper, stop func()) {
	k = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { k.Run(ctx) })
	return k, func() {
		cancel()
		wg.Wait()
	}
}

// until waits in steps of 50 ms until ok, for at most limit, and returns how long it took.
func until(t testing.TB, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if ok() {
			return time.Since(start)
		}
		if time.Since(start) > limit {
			require.Fail(t, "not within "+limit.String())
		}
	}
}

// latency is what calls of EC2 take, most of them.
func latency() time.Duration { return 40*time.Millisecond + rand.N(120*time.Millisecond) }

type addr = netip.Addr

func mustAddr(text string) netip.Addr { return netip.MustParseAddr(text) }

// metadataShow is instance metadata with that public address.
func metadataShow(public string) func(context.Context) (netip.Addr, error) {
	return func(context.Context) (netip.Addr, error) { return mustAddr(public), nil }
}
