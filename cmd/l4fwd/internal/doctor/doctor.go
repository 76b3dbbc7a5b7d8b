// Package doctor tests the path of a connection step by step, as a person would: the machine, the name, each address, TLS, the
// answer to a request, the Elastic IP and what belongs to it. It needs no daemon and no privilege, and it always ends.
package doctor

import (
	"cmp"
	"context"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind is what a step tests. The list is closed; a program may rely on the names.
type Kind string

// The kinds, in the order of a report.
const (
	Listener     Kind = "listener"      // a port that the daemon listens on, or could
	Files        Kind = "files"         // the limit of open files
	Sysctls      Kind = "sysctls"       // settings of the kernel
	Engine       Kind = "engine"        // which one the kernel and the sandbox allow
	Memory       Kind = "memory"        // of the machine and the cgroup
	Clock        Kind = "clock"         // against that of a server
	Daemon       Kind = "daemon"        // whether one runs here, and is ready
	Name         Kind = "name"          // a name at one resolver
	Resolvers    Kind = "resolvers"     // whether they agree
	Connect      Kind = "connect"       // TCP
	Hello        Kind = "hello"         // a ClientHello in one segment
	HelloPieces  Kind = "hello_pieces"  // and in two
	Certificate  Kind = "certificate"   // TLS: version, names, issuer, expiry
	HTTPS        Kind = "https"         // a request without a key
	Expectation  Kind = "expectation"   // --expect
	Egress       Kind = "egress"        // the address that the far end sees
	Metadata     Kind = "metadata"      // the instance metadata service
	Address      Kind = "address"       // the Elastic IP held, and whether it is of the pool
	Pool         Kind = "pool"          // its size against that of the group
	Holders      Kind = "holders"       // who has the addresses of the pool
	Permission   Kind = "permission"    // one action of IAM
	Hooks        Kind = "hooks"         // lifecycle hooks of the group
	TargetHealth Kind = "target_health" // as the load balancer sees this instance
	Endpoints    Kind = "endpoints"     // connections to the endpoint service
)

// causes orders the kinds by what follows from what: of several failed steps the first in this order is the cause.
var causes = []Kind{
	Expectation, Clock, Resolvers, Name, Connect, Hello, Certificate, HelloPieces, Metadata, Permission, Address, Egress, HTTPS, Listener,
	Pool, Holders, Hooks, TargetHealth, Endpoints, Engine, Memory, Files, Sysctls, Daemon,
}

// How long things may take. A report is complete in 30 s, whatever does not answer.
const (
	wholeTime   = 28 * time.Second // leaves time for connections to be cut and the report to be written
	nameTime    = 6 * time.Second
	connectTime = 4 * time.Second
	helloTime   = 5 * time.Second
	againTime   = 3 * time.Second // a second try of a hello in pieces
	answerTime  = 8 * time.Second
	egressTime  = 3 * time.Second
)

// Options say what to test. Whatever is left out is not tested.
type Options struct {
	Version       string
	Configuration string // which one the options are of, if it is not the one asked for; empty: it is
	Targets       []Target

	Servers    []netip.AddrPort // resolvers as configured; none: those of resolv.conf
	DNSTimeout time.Duration
	Status     string  // the command that shows the daemon's state; empty: l4fwd status
	Through    *Target // a daemon or a load balancer that the targets' connections go through; nil: straight
	EgressURL  string  // answers with the caller's address; empty: nobody is asked

	Machine *Machine // nil: what a daemon needs of the machine is not tested
	Daemon  func(context.Context) (DaemonState, error)
	Cloud   *Cloud // nil: nothing of AWS is tested
}

// Target is something to reach.
type Target struct {
	Host       string // a name or an IP address
	Port       uint16
	ServerName string // that clients ask for, without a final dot; empty: Host
	Path       string // to ask for; empty: the one that fits the service
	through    bool   // something forwards from here to the target
	First      []byte // is sent first on each connection: a PROXY header
	Hint       string // the likeliest cause, by the configuration, why a connection through it is cut; may be empty
	Expect     Expect
}

// server is the name that clients ask for.
func (t Target) server() string { return strings.TrimSuffix(cmp.Or(t.ServerName, t.Host), ".") }

// String is the target as a person writes it.
func (t Target) String() string {
	if a, err := netip.ParseAddr(t.Host); err == nil {
		return netip.AddrPortFrom(a, t.Port).String()
	}
	return t.Host + ":" + strconv.Itoa(int(t.Port))
}

// examination is one run.
type examination struct{ Options }

// Run tests everything and returns in 30 s at most. Parts that do not depend on each other run beside each other.
func Run(ctx context.Context, o Options) Report {
	ctx, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	x := &examination{Options: o}
	r := Report{Format: 1, Version: o.Version, Configuration: o.Configuration, Begun: time.Now()}

	var machine, daemon []Step
	var cloud cloudFindings
	targets := make([]targetFindings, len(o.Targets))
	var wg sync.WaitGroup
	wg.Go(func() { daemon, machine = x.testMachine(ctx) })
	wg.Go(func() { cloud = x.testCloud(ctx) })
	for i, t := range o.Targets {
		wg.Go(func() { targets[i] = x.testTarget(ctx, t) })
	}
	wg.Wait()

	blameAuthorities(daemon, targets)
	r.Steps = append(machine, clock(targets))
	r.Steps = append(r.Steps, daemon...)
	egress := x.testEgress(ctx, targets, &cloud)
	for _, t := range targets {
		t.nameRefusals(egress, &cloud)
		r.Steps = append(r.Steps, t.steps...)
	}
	r.Steps = append(r.Steps, egress.steps...)
	r.Steps = append(r.Steps, cloud.steps...)
	for i := range r.Steps {
		r.Steps[i].findBy(o.Status)
		r.Steps[i].clean()
	}
	r.Took = milliseconds(time.Since(r.Begun))
	r.conclude()
	return r
}

// measure runs a step within a time and notes how long it took.
func measure(ctx context.Context, limit time.Duration, s Step, do func(context.Context, *Step)) Step {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	begun := time.Now()
	s.State = OK
	do(ctx, &s)
	if s.Took == 0 {
		s.Took = milliseconds(time.Since(begun))
	}
	return s
}

// skip is a step that was not made.
func skip(s Step, because string) Step {
	s.State, s.Because = Skipped, because
	return s
}

// failedStep is why a step that depends on another one was not made.
func failedStep(k Kind) string {
	return "the step " + k.words() + " failed"
}

// fail marks a step as failed. fault is the place and the cause, for the verdict.
func (s *Step) fail(fault, meaning string, commands ...string) {
	s.State, s.Fault, s.Meaning, s.Commands = Failed, fault, meaning, commands
}

// warn marks a step as one with a warning.
func (s *Step) warn(meaning string, commands ...string) {
	s.State, s.Meaning, s.Commands = Warning, meaning, commands
}

// milliseconds are a duration for the report, with a precision of a microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
