package ring

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Need is what a relay asks of the kernel: Rings of one size. Each has room for Requests and Completions and a set of
// Buffers, as New and Provide are given them.
type Need struct {
	Rings                 int
	Requests, Completions uint32
	Buffers               int
}

const (
	page        = 4096
	probeLocked = 16 * page
)

// Locked is how many bytes the kernel counts as locked memory for all rings: their queues, the list of their buffers, and
// the small ring of Probe, which the kernel gives back a while after it was closed.
func (n Need) Locked() int64 {
	pages := func(bytes int64) int64 { return (bytes + page - 1) / page * page }
	queues := pages(1024+int64(n.Completions)*16) + pages(int64(n.Requests)*64)
	return probeLocked + int64(n.Rings)*(queues+pages(int64(n.Buffers)*16))
}

// fits returns nil if RLIMIT_MEMLOCK leaves room for all rings. Not every kernel counts them, and none does for a process
// with CAP_IPC_LOCK. So where the limit is too small, as many rings are made as would pass it.
func (n Need) fits() error {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) != nil || limit.Cur >= uint64(n.Locked()) {
		return nil
	}
	for left := int64(limit.Cur); left >= 0; left -= n.Locked() / int64(n.Rings) {
		r, err := n.one()
		if err != nil {
			return n.explain(err)
		}
		defer r.Close()
	}
	return nil
}

// one makes one of the rings.
func (n Need) one() (*Ring, error) {
	r, err := New(n.Requests, n.Completions)
	if err != nil {
		return nil, err
	}
	if _, err := r.Provide(n.Buffers, 1, page); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Explain returns err, which making a ring failed with, in the operator's words where the kernel had no memory for it.
func (n Need) Explain(err error) error {
	if errors.Is(err, unix.ENOMEM) {
		return n.explain(err)
	}
	return err
}

// explain turns the kernel's refusal of memory into an Unsupported that names the limit and what the rings need.
func (n Need) explain(err error) error {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) != nil || limit.Cur == unix.RLIM_INFINITY || privileged() {
		return &Unsupported{"the kernel has no memory for the rings of " + loops(n.Rings), err}
	}
	return &Unsupported{fmt.Sprintf("the rings of %s need %s of locked memory, and the limit of this user is %s (RLIMIT_MEMLOCK): "+
		"raise it (systemd: LimitMEMLOCK=%d; docker: --ulimit memlock=%d), or have fewer loops",
		loops(n.Rings), kib(n.Locked()), kib(int64(limit.Cur)), n.Locked(), n.Locked()), err}
}

// loops is a number of loops in words.
func loops(n int) string {
	if n == 1 {
		return "1 loop"
	}
	return strconv.Itoa(n) + " loops"
}

// kib writes a number of bytes in KiB, rounded up.
func kib(n int64) string { return strconv.FormatInt((n+1023)/1024, 10) + "KiB" }

// privileged reports whether the process has CAP_IPC_LOCK, to which the limit does not apply.
func privileged() bool {
	status, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return false
	}
	_, after, _ := bytes.Cut(status, []byte("\nCapEff:\t"))
	line, _, _ := bytes.Cut(after, []byte("\n"))
	caps, err := strconv.ParseUint(string(line), 16, 64)
	return err == nil && caps&(1<<unix.CAP_IPC_LOCK) != 0
}
