package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// machine are the parts that need no daemon.
func (o *Options) machine(r *redactor) []Part {
	r.learn(os.Environ())
	return []Part{
		{Name: "process.txt", About: "the daemon's process: limits, status, open files", Get: func(ctx context.Context, out io.Writer) error {
			return processes(ctx, out, o.PID, r)
		}},
		files("kernel.txt", "kernel, distribution, time", kernelFiles),
		files("sysctls.txt", "settings of the kernel that matter", sysctlFiles()),
		files("cgroup.txt", "limits and usage of the control group", cgroupFiles()),
		files("network.txt", "sockets, counters of TCP and of the interfaces, resolvers", networkFiles),
		files("pressure.txt", "memory, load, pressure", pressureFiles),
		{Name: "unit.txt", About: "the systemd unit", Get: unit},
		{Name: "journal.txt", About: "the last lines of the unit in the journal", Limit: 1 << 20, Get: journal},
	}
}

var (
	kernelFiles   = []string{"/proc/version", "/etc/os-release", "/proc/uptime", "/proc/cpuinfo", "/sys/devices/system/clocksource/clocksource0/current_clocksource"}
	networkFiles  = []string{"/proc/net/sockstat", "/proc/net/sockstat6", "/proc/net/snmp", "/proc/net/netstat", "/proc/net/dev", "/proc/net/softnet_stat", "/etc/resolv.conf", "/etc/hosts"}
	pressureFiles = []string{"/proc/meminfo", "/proc/loadavg", "/proc/pressure/cpu", "/proc/pressure/memory", "/proc/pressure/io", "/proc/sys/fs/file-nr"}
)

// sysctls are settings that decide what a forwarder can do; the packages set some.
var sysctls = []string{
	"fs.file-max", "fs.nr_open", "fs.pipe-max-size", "fs.pipe-user-pages-soft", "fs.pipe-user-pages-hard",
	"kernel.io_uring_disabled", "kernel.io_uring_group", "kernel.pid_max", "kernel.random.boot_id",
	"net.core.netdev_max_backlog", "net.core.rmem_max", "net.core.somaxconn", "net.core.wmem_max",
	"net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.tcp_congestion_control", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_max_syn_backlog",
	"net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_mem", "net.ipv4.tcp_migrate_req", "net.ipv4.tcp_mtu_probing", "net.ipv4.tcp_retries2",
	"net.ipv4.tcp_rmem", "net.ipv4.tcp_slow_start_after_idle", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_wmem",
	"net.ipv6.conf.all.disable_ipv6", "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_max",
}

// sysctlFiles are the files of the settings.
func sysctlFiles() (all []string) {
	for _, name := range sysctls {
		all = append(all, "/proc/sys/"+strings.ReplaceAll(name, ".", "/"))
	}
	return all
}

// cgroupFiles are those of the control group of this process, and of the unit, where there is one.
func cgroupFiles() (all []string) {
	own, _ := os.ReadFile("/proc/self/cgroup")
	_, path, _ := strings.Cut(strings.TrimSpace(string(own)), "0::")
	for _, dir := range []string{filepath.Join("/sys/fs/cgroup", path), "/sys/fs/cgroup", "/sys/fs/cgroup/system.slice/l4fwd.service"} {
		for _, name := range []string{"memory.max", "memory.high", "memory.current", "memory.peak", "memory.events", "cpu.max", "cpu.stat", "pids.max", "pids.current"} {
			all = append(all, filepath.Join(dir, name))
		}
	}
	for _, name := range []string{"memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "cpu/cpu.cfs_quota_us", "cpu/cpu.stat", "pids/pids.max"} { // version 1
		all = append(all, filepath.Join("/sys/fs/cgroup", name))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// files is a part of the texts of files, each below its path. Those that are not there are left out; that none is there is an error.
func files(name, about string, paths []string) Part {
	return Part{Name: name, About: about, Get: func(_ context.Context, out io.Writer) error { return writeFiles(out, paths) }}
}

// writeFiles writes the beginning of each file, 256 KiB at most, below its path. It is an error if none of them is there.
func writeFiles(out io.Writer, paths []string) error {
	any := false
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		text, err := io.ReadAll(io.LimitReader(f, 256<<10))
		f.Close()
		if err != nil {
			text = fmt.Appendln(text, err)
		}
		any = true
		if _, err := fmt.Fprintf(out, "==> %s <==\n%s\n", path, strings.TrimRight(string(text), "\n")); err != nil {
			return err
		}
	}
	if !any {
		return fmt.Errorf("this system does not have %s and the like", paths[0])
	}
	return nil
}

// processes describes the daemon's process; if it is not known, every other process of that name.
func processes(ctx context.Context, out io.Writer, known func(context.Context) int, r *redactor) error {
	var pids []int
	if known != nil {
		if pid := known(ctx); pid > 0 {
			pids = []int{pid}
		}
	}
	if pids == nil {
		pids = named("l4fwd")
	}
	err := errors.New("no other process is named l4fwd, or this system does not say")
	for i, pid := range pids[:min(len(pids), 4)] {
		if ended := process(out, pid, r); ended == nil {
			err = nil
		} else if i == 0 { // one that has ended since does not hide the others
			err = ended
		}
	}
	return err
}

// process describes one process. Its environment and command line are left out; credentials that are in the environment are removed
// from all texts.
func process(out io.Writer, pid int, r *redactor) error {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	env, _ := os.ReadFile(filepath.Join(dir, "environ")) // another user's cannot be read
	r.learn(strings.Split(string(env), "\x00"))
	if open, err := os.ReadDir(filepath.Join(dir, "fd")); err == nil {
		fmt.Fprintf(out, "process %d has %d open files\n", pid, len(open))
	}
	var paths []string
	for _, name := range []string{"limits", "status", "sched", "smaps_rollup", "cgroup", "wchan"} {
		paths = append(paths, filepath.Join(dir, name))
	}
	return writeFiles(out, paths)
}

// named are the other processes of that name.
func named(name string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, path := range all {
		text, _ := os.ReadFile(path)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if strings.TrimSpace(string(text)) == name && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// unitProperties are what is asked of systemd. Environment is not among them, nor is anything that has the command line.
const unitProperties = "LoadState,ActiveState,SubState,Result,NRestarts,MainPID,ExecMainCode,ExecMainStatus,ExecMainStartTimestamp,ActiveEnterTimestamp," +
	"InactiveEnterTimestamp,StatusText,StatusErrno,MemoryCurrent,MemoryPeak,MemoryMax,TasksCurrent,TasksMax,LimitNOFILE,LimitMEMLOCK,TimeoutStopUSec,WatchdogUSec," +
	"FragmentPath,DropInPaths,NeedDaemonReload,UnitFileState,Restart,FileDescriptorStoreMax"

// unit asks systemd for the units.
func unit(ctx context.Context, out io.Writer) error {
	return systemd(ctx, out, "systemctl", "show", "--no-pager", "--property="+unitProperties, "l4fwd.service", "l4fwd.socket")
}

// journal asks the journal for the unit's lines.
func journal(ctx context.Context, out io.Writer) error {
	return systemd(ctx, out, "journalctl", "--no-pager", "--quiet", "--output=short-iso-precise", "--lines=1000", "--unit=l4fwd.service")
}

// systemd runs a program of systemd, where that is: see sd_booted(3).
func systemd(ctx context.Context, out io.Writer, name string, args ...string) error {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return errors.New("systemd does not run here")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%s is not installed", name)
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "SYSTEMD_COLORS=0")
	cmd.WaitDelay = graceTime / 2
	var stderr bounded
	stderr.limit = 1 << 10
	cmd.Stdout, cmd.Stderr = out, &stderr
	if err := cmd.Run(); err != nil {
		said, _ := stderr.take()
		return fmt.Errorf("%s: %w %s", name, err, strings.TrimSpace(string(said)))
	}
	return nil
}
