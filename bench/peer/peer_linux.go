package peer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/bench/meter"
	"github.com/l4fwd/l4fwd/bench/netns"
	"github.com/l4fwd/l4fwd/bench/testport"
	"github.com/l4fwd/l4fwd/bench/wire"
)

// Direct is the name of the peer that is no proxy at all.
const Direct = "direct"

// Spec is a relay that can be started.
type Spec struct {
	Name string
	// Missing says how to install it; empty if it can be started.
	Missing string
	Version string
	// Variant is one of the variants' names for a relay that is set up for what some scenarios are about, and takes part in no other; else empty.
	Variant string
	// logs says that what it prints goes to a file, as a log does; what it says on failing is lost with it.
	logs bool
	// MaxConns is how many connections it can hold within the limit on open files; 0: as many as any.
	MaxConns int
	// command is what to run for one instance; nil for direct.
	command func(i Instance) (*exec.Cmd, error)
	// endSignal asks for an end at once, children included.
	endSignal syscall.Signal
	// renew replaces the processes that serve by new ones; nil: it can't.
	renew func(p *Proxy) error
}

// Site is where a relay is to run: the network it is in and the one its clients are in, its address and its origin's.
type Site struct {
	Relay, Client *netns.Space
	Listen        netip.Addr
	Upstream      netip.AddrPort
	Cores         int
	Files         int // RLIMIT_NOFILE
	// Probe does something with the origin through a relay, to see that it relays; nil: an exchange.
	Probe func(netip.AddrPort) error
}

// Instance is where one process of a relay shall listen and forward to. Dir is empty and its own.
type Instance struct {
	Listen, Upstream netip.AddrPort
	Dir              string
	Cores            int
	Files            int
}

// Proxy is a relay that runs.
type Proxy struct {
	Spec   Spec
	Listen netip.AddrPort
	client *netns.Space
	probe  func(netip.AddrPort) error
	cmd    *exec.Cmd
	ended  chan struct{}
	stderr tail
	dir    string
}

// startTimeout is how long a relay may take until it relays.
const startTimeout = 15 * time.Second

// Start runs a relay and returns once it relays. It must be called on a thread that lives as long as the process: the
// relay dies with the thread that started it (PR_SET_PDEATHSIG, prctl(2)).
func Start(ctx context.Context, s Spec, at Site) (*Proxy, error) {
	p := &Proxy{Spec: s, Listen: at.Upstream, client: at.Client, probe: at.Probe, ended: make(chan struct{})}
	if p.probe == nil {
		p.probe = probe
	}
	if s.command == nil {
		return p, nil
	}
	var err error
	if p.dir, err = os.MkdirTemp("", "l4bench-"); err != nil {
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	if err := at.Relay.Do(func() error { return p.launch(at) }); err != nil {
		os.RemoveAll(p.dir)
		return nil, fmt.Errorf("start %s: %w", s.Name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	if err := p.awaitReady(ctx); err != nil {
		p.Stop()
		return nil, fmt.Errorf("start %s: %w%s", s.Name, err, p.stderr.last())
	}
	return p, nil
}

// launch starts the process, in the calling thread's network namespace.
func (p *Proxy) launch(at Site) (err error) {
	if p.Listen, err = freeAddr(at.Listen); err != nil {
		return err
	}
	p.cmd, err = p.Spec.command(Instance{Listen: p.Listen, Upstream: at.Upstream, Dir: p.dir, Cores: at.Cores, Files: at.Files})
	if err != nil {
		return err
	}
	p.cmd.Stderr, p.cmd.Stdout = &p.stderr, &p.stderr
	if p.Spec.logs {
		file, err := os.OpenFile(filepath.Join(p.dir, logFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer file.Close() // the process has its own
		p.cmd.Stderr, p.cmd.Stdout = file, file
	}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: p.Spec.endSignal}
	return p.cmd.Start()
}

// logFile is the log of a relay that has one, in its folder.
const logFile = "log"

// Logged is how many bytes the relay has logged; 0 for one that logs nothing.
func (p *Proxy) Logged() int64 {
	info, err := os.Stat(filepath.Join(p.dir, logFile))
	if err != nil {
		return 0
	}
	return info.Size()
}

// Pids is the relay's processes, children included; none for direct.
func (p *Proxy) Pids() []int {
	if p.cmd == nil {
		return nil
	}
	return meter.Tree(p.cmd.Process.Pid)
}

// Alive reports whether the relay still runs, and if not, what it said last.
func (p *Proxy) Alive() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended: %s", p.Spec.Name, p.stderr.String())
	default:
		return nil
	}
}

// Serving is the processes that serve: of those with a master, its children.
func (p *Proxy) Serving() []int {
	if all := p.Pids(); len(all) > 1 {
		return all[1:]
	}
	return p.Pids()
}

// Group is the relay's processes and those that took over from them; none for direct.
func (p *Proxy) Group() []int {
	if p.cmd == nil {
		return nil
	}
	return meter.Group(p.cmd.Process.Pid)
}

// Renew replaces the processes that serve by new ones. It returns once that is under way, or over.
func (p *Proxy) Renew() error {
	if p.Spec.renew == nil {
		return fmt.Errorf("%s cannot be replaced while it runs", p.Spec.Name)
	}
	return p.Spec.renew(p)
}

// Stop ends the relay and its children, also one that took over from it. It may be called twice.
func (p *Proxy) Stop() {
	if p.cmd == nil {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, p.Spec.endSignal)
	select {
	case <-p.ended:
	case <-time.After(2 * time.Second):
	}
	// Whoever is left of the group, a worker without its master for one, goes now; and then the group is gone.
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
	os.RemoveAll(p.dir)
}

func (p *Proxy) awaitReady(ctx context.Context) error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := p.client.Do(func() error { return p.probe(p.Listen) })
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.ended:
			return fmt.Errorf("it ended at once, %v", p.cmd.ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("it relays nothing after %v: %w", startTimeout, err)
		}
	}
}

// probe does one exchange with the origin through addr, whose request is a ClientHello: that passes any relay, also one that
// routes by it.
func probe(addr netip.AddrPort) error {
	c, err := net.DialTimeout("tcp", addr.String(), time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	hello, err := wire.NewHello(RoutedName)
	if err != nil {
		return err
	}
	wire.SealHello(hello, wire.Header{Op: wire.Exchange, Up: uint32(len(hello)), Down: 64, Seq: 1})
	if _, err := c.Write(hello); err != nil {
		return err
	}
	msg := make([]byte, 64)
	if _, err := io.ReadFull(c, msg); err != nil {
		return err
	}
	_, err = wire.Open(msg)
	return err
}

// localhost is where a relay serves what is not to be measured.
var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// freeAddr finds a free port of ip below the ephemeral ones, so that no connection of the bench takes it away.
func freeAddr(ip netip.Addr) (netip.AddrPort, error) {
	addr, err := testport.Find(ip.String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.ParseAddrPort(addr)
}

// tail keeps the last few KiB a process wrote.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if extra := len(t.b) - 4096; extra > 0 {
		t.b = bytes.Clone(t.b[extra:])
	}
	return len(p), nil
}

// last is the last line, for the end of a message; empty where there is none.
func (t *tail) last() string {
	s := t.String()
	if s == "" {
		return ""
	}
	return ": " + strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.b))
}
