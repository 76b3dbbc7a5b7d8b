package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/doctor"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/ports"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// setProcessors returns how many loops to run, and gives the Go scheduler one P more: a loop that waits in the kernel
// without telling the scheduler holds its P, and the timers and the HTTP servers must not have to wait for that.
// GOMAXPROCS in the environment sets the number of loops, where nothing else does.
func setProcessors(loops int, log *zap.Logger) int {
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0) // the CPUs of the affinity mask and of the container's quota
	}
	runtime.GOMAXPROCS(loops + 1)
	log.Debug("processors", zap.Int("loops", loops), zap.Int("gomaxprocs", runtime.GOMAXPROCS(0)))
	return loops
}

const (
	filesPerConnection = 2 // its two sockets
	filesPerPipe       = 2
	// filesAlways are open beside those of the relay: stdin, stdout, stderr, 2 of the runtime's poller, 2 by which it
	// follows the CPU quota, the health and the admin port, the watch of the file, and 2 for a lookup and a notification.
	filesAlways = 12
	// filesHealth let the health port answer a load balancer, a probe and Prometheus when files are few.
	filesHealth = 4
	// filesAtEase are the connections of the health and the admin port (128 and 64), and as many again for lookups, checks,
	// calls of AWS, and attempts to connect beside each other.
	filesAtEase     = 2 * (128 + maxAdminConnections)
	mostConnections = 1 << 20 // derived; where the limit of files is astronomical, memory is the limit
)

// fileBudget is how the files that the process may open are shared out. One function, relay.Files, says what the relay takes,
// so that a limit of connections never promises what ends in EMFILE.
type fileBudget struct {
	files         int // the limit; 0: unknown
	always, pipes int // taken without a connection; by pipes at most
}

// newFileBudget raises the limit of open files as far as it goes, and shares the files out for a configuration whose loops
// are counted.
func newFileBudget(cfg *config.Config, log *zap.Logger) fileBudget {
	files, err := raiseFileLimit()
	if err != nil {
		log.Warn("the limit of open files could not be raised", zap.Error(err), zap.Uint64("files", files))
	}
	return budgetOf(files, cfg.Loops, len(cfg.Listeners))
}

// budgetOf divides the limit of open files among what the daemon always has open, the pipes and the connections. Use 0 files if
// the limit is unknown.
func budgetOf(files uint64, loops, listeners int) fileBudget {
	always, pipes := relay.Files(loops, listeners)
	return fileBudget{files: int(min(files, 1<<40)), always: always + filesAlways, pipes: pipes}
}

// connections is how many connections the files allow beside as many that are kept warm, 1 at least and mostConnections at
// most. If files are few, there is less for the ports, and each connection is counted with a pipe for each direction.
func (b fileBudget) connections(warm int) int {
	atEase := (b.files - b.always - b.pipes - filesAtEase - warm) / filesPerConnection
	few := (b.files - b.always - filesHealth - warm) / (filesPerConnection + 2*filesPerPipe)
	return min(max(atEase, few, 1), mostConnections)
}

// scarce reports whether the files do not suffice for everything at its limit, however few connections there are.
func (b fileBudget) scarce() bool { return b.files > 0 && b.files < b.always+b.pipes+filesAtEase }

// need is how many files a number of connections takes.
func (b fileBudget) need(connections, warm int) int {
	return b.always + b.pipes + filesAtEase + warm + connections*filesPerConnection
}

// fit returns the limit of connections: the configured one if the files suffice for it, else what they allow. An EMFILE would
// hurt the connections that are open.
func (b fileBudget) fit(configured, warm int, log *zap.Logger) int {
	if b.files == 0 {
		return configured // unknown
	}
	allowed := b.connections(warm)
	switch {
	case configured == 0:
		log.Info("limits.max_connections follows from the limit of open files", zap.Int("files", b.files), zap.Int("max_connections", allowed))
		return allowed
	case configured > allowed:
		need := b.need(configured, warm)
		log.Warn("limits.max_connections is lowered: the limit of open files does not suffice",
			zap.Int("configured", configured), zap.Int("max_connections", allowed), zap.Int("files", b.files), zap.Int("files_needed", need),
			zap.String("do", fmt.Sprintf("set LimitNOFILE=%d in the unit, or run ulimit -Hn %d first", need, need)))
		return allowed
	}
	return configured
}

// fitWarm leaves warm connections at most half of the files that connections may take: pools that take all leave none for
// clients, and none for the health port. If cfg is changed, it gets a list of upstreams of its own.
func (b fileBudget) fitWarm(cfg *config.Config, log *zap.Logger) {
	wanted, allowed := warmFiles(cfg), b.connections(0)
	if b.files == 0 || wanted <= allowed {
		return
	}
	cfg.Upstreams = slices.Clone(cfg.Upstreams)
	for i := range cfg.Upstreams {
		w := &cfg.Upstreams[i].Warm
		if w.Connections <= 0 {
			continue
		}
		if w.Connections = max(w.Connections, cfg.Loops) * allowed / wanted; w.Connections < cfg.Loops {
			w.Connections = 0 // each loop would keep one
		}
	}
	log.Warn("fewer connections are kept warm than configured: the limit of open files does not suffice",
		zap.Int("configured", wanted), zap.Int("kept", warmFiles(cfg)), zap.Int("files", b.files),
		zap.String("do", "raise LimitNOFILE in the unit, or ulimit -Hn, or lower warm.connections"))
}

// warmFiles is how many files warm connections take at most.
func warmFiles(cfg *config.Config) int {
	n := 0
	for _, u := range cfg.Upstreams {
		if u.Warm.Connections > 0 {
			n += max(u.Warm.Connections, cfg.Loops) // each loop has one at least
		}
	}
	return n
}

// fitToFiles lowers the limits of cfg to what the limit of open files allows.
func fitToFiles(cfg *config.Config, log *zap.Logger) {
	b := newFileBudget(cfg, log)
	if b.scarce() {
		log.Warn("the limit of open files is low: few connections can be served, and under load the health port will answer slowly",
			zap.Int("files", b.files), zap.Int("max_connections", b.connections(0)), zap.Int("files_needed", b.need(1, 0)),
			zap.String("do", "raise LimitNOFILE in the unit, or ulimit -Hn"))
	}
	b.fitWarm(cfg, log)
	cfg.Limits.MaxConnections = b.fit(cfg.Limits.MaxConnections, warmFiles(cfg), log)
}

// shortage reports while it lasts that clients wait for open files.
type shortage struct {
	pauses uint64    // of accept, when it was last looked at
	logged time.Time // when it was last logged
}

// shortageEvery is how often a shortage is logged at most.
const shortageEvery = time.Minute

// look compares the number of times that accept found no file or no memory with that of before.
func (s *shortage) look(pauses uint64, files func() int, log *zap.Logger) {
	more := pauses - s.pauses
	s.pauses = pauses
	if more == 0 || time.Since(s.logged) < shortageEvery {
		return
	}
	s.logged = time.Now()
	log.Warn("clients wait to be accepted: there is no open file, or no memory, for another one",
		zap.Uint64("pauses", more), zap.Int("files_open", files()), zap.String("do", "raise LimitNOFILE in the unit, or ulimit -Hn, or lower limits.max_connections"))
}

// raiseFileLimit raises the soft limit of open files to the hard one and returns the limit in effect. Go's runtime does
// the same at start, unless the program was built without package os's help; here it is said and checked.
func raiseFileLimit() (uint64, error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, err
	}
	if lim.Cur >= lim.Max {
		return lim.Cur, nil
	}
	raised := lim
	raised.Cur = lim.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &raised); err != nil {
		return lim.Cur, err
	}
	return raised.Cur, nil
}

// fileLimit is the limit of open files of a process, and of this one after raiseFileLimit if pid is 0; 0 if it is unknown.
func fileLimit(pid int) uint64 {
	if pid == 0 {
		var lim unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_NOFILE, &lim) != nil {
			return 0
		}
		return lim.Max
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	if err != nil {
		return 0
	}
	_, line, _ := strings.Cut(string(text), "Max open files")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return 0
	}
	n, _ := strconv.ParseUint(fields[0], 10, 64) // of "unlimited", which this limit cannot be, 0
	return n
}

// openFiles is how many descriptors the process has open, or -1 if that is unknown, as it is off Linux. Since Linux 6.2 the
// size of /proc/self/fd is their number; before that it is 0, and the entries are counted.
func openFiles() int {
	if info, err := os.Stat("/proc/self/fd"); err == nil && info.Size() > 0 {
		return int(info.Size())
	}
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return -1
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return -1
	}
	return len(names) - 1 // without dir itself
}

// machineOf is what a daemon with that configuration needs of this machine.
func machineOf(l *config.Loaded) *doctor.Machine {
	cfg := &l.Config
	loops := cfg.Loops
	if loops == 0 {
		loops = relay.DefaultLoops()
	}
	m := &doctor.Machine{
		Wanted: cfg.Limits.MaxConnections, Buffered: cfg.Limits.Buffered,
		Engine: func() (string, string, error) { return relay.ExplainEngine(string(cfg.Engine), loops) },
		ExplainListen: func(in doctor.ListenerAt, err error) error {
			return ports.ExplainListen(fmt.Sprintf("listener %q", in.Name), "--listen", 8443, in.Addr, err)
		},
		Files: func(pid int) (files, connections int) {
			b := budgetOf(fileLimit(pid), loops, len(cfg.Listeners))
			return b.files, b.connections(warmFiles(cfg))
		},
	}
	if m.Buffered == 0 {
		m.Buffered = relay.DefaultBuffered()
	}
	for _, in := range cfg.Listeners {
		m.Listeners = append(m.Listeners, doctor.ListenerAt{Name: in.Name, Addr: in.Address.AddrPort, Assumed: l.DefaultListener})
	}
	return m
}
