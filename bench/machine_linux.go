package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/bench/report"
)

// machine describes where the run takes place; what cannot be found out stays empty.
func machine(start time.Time, files int) report.Machine {
	m := report.Machine{Date: start.UTC().Truncate(time.Second), Cores: runtime.NumCPU(), Go: runtime.Version(), Files: files,
		CPU: field("/proc/cpuinfo", "model name"), Memory: field("/proc/meminfo", "MemTotal"), Commit: commit(),
		Command: strings.Join(append([]string{"bench"}, os.Args[1:]...), " ")}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	return m
}

// field is the first value of a key in a file of "key: value" lines.
func field(file, key string) string {
	b, _ := os.ReadFile(file)
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	return ""
}

func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	c := strings.TrimSpace(string(out))
	if out, err = exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil && len(out) > 0 {
		c = fmt.Sprint(c, "+changes")
	}
	return c
}
