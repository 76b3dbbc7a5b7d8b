package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/eip/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const target = "autoscaling/target-lifecycle-state"

// hooks of the group that the tests launch into.
var (
	launch    = sim.Hook{Name: "up", Transition: sim.Launching, Timeout: 15 * time.Minute}
	terminate = sim.Hook{Name: "down", Transition: sim.Terminating, Timeout: time.Minute}
)

// rig is an instance with a watcher that runs, in simulated time.
type rig struct {
	asg     *sim.AutoScaling
	imds    *sim.Metadata
	watcher *lifecycle.Watcher
	options lifecycle.Options // of watcher
	logs    *observer.ObservedLogs
	ready   atomic.Bool
	hidden  atomic.Int32 // how many of the next answers do not show the instance
	instead atomic.Pointer[substitute]
	slow    atomic.Int64 // nanoseconds that each answer takes

	mu     sync.Mutex
	orders []lifecycle.Order
}

// run starts an instance of a group, tests it, and ends it.
func run(t *testing.T, hooks []sim.Hook, arrange func(*rig), test func(*testing.T, *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{asg: sim.NewAutoScaling(), imds: sim.NewMetadata(sim.Machine{Instance: "i-0a"})}
		r.asg.Group("aoai", hooks...)
		arrange(r)
		core, logs := observer.New(zap.DebugLevel)
		r.logs = logs
		r.options = lifecycle.Options{
			Metadata: instance.NewMetadata(aws.Config{HTTPClient: sim.InProcess{Handler: r.imds}}),
			Client: lifecycle.NewClient(aws.Config{Region: "eu-west-1", HTTPClient: sim.InProcess{Handler: http.HandlerFunc(r.api)},
				Credentials: anonymous{}, RetryMaxAttempts: 1}),
			Identity: instance.Identity{Region: "eu-west-1", Account: "123456789012", Instance: "i-0a"},
			Groups:   true, Spot: true,
			Ready: func() error {
				if r.ready.Load() {
					return nil
				}
				return errors.New("not yet")
			},
			OnOrder: func(o lifecycle.Order) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.orders = append(r.orders, o)
			},
			Logger: zap.New(core),
		}
		r.watcher = lifecycle.New(r.options)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { r.watcher.Run(ctx) })
		synctest.Wait()
		test(t, r)
		cancel()
		wg.Wait()
	})
}

// api is Auto Scaling, which may not know the instance for a while.
func (r *rig) api(w http.ResponseWriter, req *http.Request) {
	if err := req.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	time.Sleep(time.Duration(r.slow.Load()))
	if req.PostForm.Get("Action") == "DescribeAutoScalingInstances" && r.hidden.Add(-1) >= 0 {
		fmt.Fprint(w, "<DescribeAutoScalingInstancesResponse><DescribeAutoScalingInstancesResult/></DescribeAutoScalingInstancesResponse>")
		return
	}
	if s := r.instead.Load(); s != nil && s.action == req.PostForm.Get("Action") {
		w.WriteHeader(s.status)
		fmt.Fprint(w, s.body)
		return
	}
	r.asg.ServeHTTP(w, req)
}

// substitute is what somebody answers in the place of Auto Scaling, which never hears of the call.
type substitute struct {
	action string
	status int
	body   string
}

type anonymous struct{}

func (anonymous) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
}

func (r *rig) intents() []lifecycle.Intent {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []lifecycle.Intent
	for _, o := range r.orders {
		all = append(all, o.Intent)
	}
	return all
}

// did counts the calls that begin so.
func (r *rig) did(prefix string) int {
	n := 0
	for _, c := range r.asg.Calls() {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// tick lets one look pass.
func tick() { time.Sleep(6 * time.Second); synctest.Wait() }

func launched(r *rig) { r.asg.Launch("aoai", "i-0a", r.imds) }

func serving(r *rig) { launched(r); r.ready.Store(true) }
