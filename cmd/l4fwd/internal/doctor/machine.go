package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/l4fwd/l4fwd/health/probe"
)

// Machine is what the daemon needs of the machine. The functions are required.
type Machine struct {
	Listeners []ListenerAt
	// ExplainListen says in words, with what to do, why a listener cannot be opened.
	ExplainListen func(l ListenerAt, err error) error
	// Files returns the limit of open files, 0 if it is unknown, and how many connections it allows. pid is of the process
	// that is meant; 0: this one.
	Files  func(pid int) (files, connections int)
	Engine func() (kind, reason string, err error)
	// Buffered is what the kernel may hold for peers that do not read, in bytes; negative: no limit.
	Buffered int64
	Wanted   int // limits.max_connections; 0: as many as possible
}

// ListenerAt is a listener of the configuration.
type ListenerAt struct {
	Name    string
	Addr    netip.AddrPort
	Assumed bool // nobody configured it
}

// DaemonState is the state of a daemon that runs here.
type DaemonState struct {
	PID      int
	Version  string
	Ready    bool
	NotReady []string // conditions that do not hold, with their reasons
	Listens  []netip.AddrPort
}

// ErrNoDaemon says that none runs here, which is no fault.
var ErrNoDaemon = errors.New("no daemon answers")

// testMachine looks at the daemon, if one runs, and at what it needs of the machine.
func (x *examination) testMachine(ctx context.Context) (daemon, machine []Step) {
	var state DaemonState
	if x.Daemon != nil {
		daemon = []Step{measure(ctx, connectTime, Step{Kind: Daemon}, func(ctx context.Context, s *Step) { state = x.daemon(ctx, s) })}
	}
	if x.Machine == nil {
		return daemon, nil
	}
	m := x.Machine
	for _, l := range m.Listeners {
		machine = append(machine, measure(ctx, connectTime, Step{Kind: Listener, Subject: l.Addr.String()}, func(_ context.Context, s *Step) { m.listener(l, state, s) }))
	}
	for _, part := range []struct {
		kind Kind
		do   func(*Step)
	}{{Files, func(s *Step) { m.files(state.PID, s) }}, {Sysctls, sysctls}, {Engine, m.engine}, {Memory, m.memory}} {
		machine = append(machine, measure(ctx, connectTime, Step{Kind: part.kind}, func(_ context.Context, s *Step) { part.do(s) }))
	}
	return daemon, machine
}

// daemon asks the daemon for its state.
func (x *examination) daemon(ctx context.Context, s *Step) (state DaemonState) {
	state, err := x.Daemon(ctx)
	switch {
	case errors.Is(err, ErrNoDaemon):
		*s = skip(*s, err.Error())
	case err != nil:
		*s = skip(*s, "it cannot be asked: "+err.Error())
	case state.Ready:
		s.Evidence = fmt.Sprintf("l4fwd %s runs here as process %d, and is ready", state.Version, state.PID)
	default:
		s.Evidence = "not ready: " + strings.Join(state.NotReady, "; ")
		s.fail("the daemon; it is not ready ("+strings.Join(state.NotReady, "; ")+")", "load balancers send it no clients while this lasts", statusCommand)
	}
	return state
}

// listener tests a port of the configuration: the daemon has it, or could have it.
func (m *Machine) listener(l ListenerAt, state DaemonState, s *Step) {
	if slices.ContainsFunc(state.Listens, func(a netip.AddrPort) bool { return a.Port() == l.Addr.Port() }) {
		s.Evidence = "the running daemon listens here"
		return
	}
	err := probe.Port(l.Addr)
	if err == nil {
		s.Evidence = "free, and this user may listen here"
		return
	}
	said := m.ExplainListen(l, err)
	text, advice, _ := strings.Cut(said.Error(), "; ")
	s.Evidence = text
	if l.Assumed {
		s.warn(advice + "; no listener is configured, and this is the default one")
		return
	}
	s.fail(fmt.Sprintf("the listener; %s", text), advice, listenCommand(l.Addr, err))
}

// listenCommand is what mends a listener that cannot be opened, or shows what is in its way.
func listenCommand(addr netip.AddrPort, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("ss -ltnp 'sport = :%d'", addr.Port())
	case errors.Is(err, syscall.EACCES):
		return "setcap cap_net_bind_service=+ep \"$(command -v l4fwd)\"    # the unit of the packages has it; or --listen :8443"
	}
	return "ip address"
}

// fewConnections is from when downwards the limit of open files is worth a warning.
const fewConnections = 4096

// files looks at the limit of open files of the daemon, or of this process.
func (m *Machine) files(pid int, s *Step) {
	files, connections := m.Files(pid)
	whose := "this shell"
	if pid != 0 {
		whose = "the daemon"
	}
	if files == 0 {
		*s = skip(*s, "the limit is unknown here")
		return
	}
	s.Evidence = fmt.Sprintf("%s may open %d files: %d connections", whose, files, connections)
	switch {
	case m.Wanted > connections:
		s.warn(fmt.Sprintf("limits.max_connections is %d and will be lowered", m.Wanted), "systemctl edit l4fwd    # [Service] LimitNOFILE=1048576", "ulimit -Hn 1048576")
	case connections < fewConnections:
		s.warn("clients beyond that number are refused", "systemctl edit l4fwd    # [Service] LimitNOFILE=1048576", "ulimit -Hn 1048576")
	}
}

// engine says which engine would serve.
func (m *Machine) engine(s *Step) {
	kind, reason, err := m.Engine()
	if err != nil {
		s.Evidence = err.Error()
		s.fail("the engine; the one that is configured cannot be used", err.Error(), "l4fwd --engine auto …, or engine: auto in the file")
		return
	}
	kernel, known := probe.Sysctl("kernel.osrelease")
	if !known {
		kernel = runtime.GOOS
	}
	s.Evidence = fmt.Sprintf("%s on kernel %s (%s)", kind, kernel, reason)
}

// littleMemory is what peers that do not read can fill in a moment.
const littleMemory = 64 << 20

// memory says how much may be held for peers that do not read.
func (m *Machine) memory(s *Step) {
	if m.Buffered < 0 {
		*s = skip(*s, "neither the kernel nor a cgroup says how much there is")
		return
	}
	s.Evidence = fmt.Sprintf("%d MiB may be held for peers that do not read", m.Buffered>>20)
	if m.Buffered < littleMemory {
		s.warn("few slow readers are enough to reach it; beyond it the slowest connections end with limit_memory", "raise the memory limit of the container to 1 GiB or more (docs/CAPACITY.md)")
	}
}
