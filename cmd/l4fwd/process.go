package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
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
	filesPerConnection = 2 // its two sockets; pipes are few and pooled
	// The others: the pipes of the loops (96), the connections of the health and the admin port (128 and 64), and for
	// each loop its listeners and two of its own, DNS and logs.
	filesReserved   = 512
	mostConnections = 1 << 20 // derived; where the limit of files is astronomical, memory is the limit
)

// connectionsFor is how many connections a limit of open files allows, at least 1.
func connectionsFor(files uint64) int {
	reserve := min(filesReserved, files/2)
	return int(min(max((files-reserve)/filesPerConnection, 1), mostConnections))
}

// warmFiles is how many files the connections that are kept warm take at most.
func warmFiles(cfg config.Config) int {
	n := 0
	for _, u := range cfg.Upstreams {
		if u.Warm.Connections > 0 {
			n += max(u.Warm.Connections, cfg.Loops) // each loop has one at least
		}
	}
	return n
}

// fitWarm leaves connections that are kept warm at most half of the files that connections may take. Pools that take all
// leave none for clients, and none for the health port. If cfg is changed, it gets a list of upstreams of its own.
func fitWarm(cfg *config.Config, log *zap.Logger) {
	files, _ := raiseFileLimit() // an error is told by fitToFiles
	wanted, allowed := warmFiles(*cfg), connectionsFor(files)
	if files == 0 || wanted <= allowed {
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
		zap.Int("configured", wanted), zap.Int("kept", warmFiles(*cfg)), zap.Uint64("files", files),
		zap.String("do", "raise LimitNOFILE in the unit, or ulimit -Hn, or lower warm.connections"))
}

// fitToFiles raises the limit of open files as far as it goes, and returns the limit of connections: the one configured
// if the files suffice beside as many for other things as warm says, else what they allow. Running into EMFILE would hurt
// the connections that are open.
func fitToFiles(configured, warm int, log *zap.Logger) int {
	files, err := raiseFileLimit()
	if err != nil {
		log.Warn("the limit of open files could not be raised", zap.Error(err), zap.Uint64("files", files))
	}
	if files == 0 {
		return configured // unknown
	}
	files -= min(uint64(warm), files)
	allowed := connectionsFor(files)
	switch {
	case configured == 0:
		log.Info("limits.max_connections follows from the limit of open files", zap.Uint64("files", files), zap.Int("max_connections", allowed))
		return allowed
	case uint64(configured)*filesPerConnection+filesReserved > files && configured > allowed:
		need := configured*filesPerConnection + filesReserved
		log.Warn("limits.max_connections is lowered: the limit of open files does not suffice",
			zap.Int("configured", configured), zap.Int("max_connections", allowed), zap.Uint64("files", files), zap.Int("files_needed", need),
			zap.String("do", fmt.Sprintf("set LimitNOFILE=%d in the unit, or run ulimit -Hn %d first", need, need)))
		return allowed
	}
	return configured
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
