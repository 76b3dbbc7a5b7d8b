package meter

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Tree is pid and all its descendants, from the parents in /proc/*/stat.
func Tree(pid int) []int {
	children := map[int][]int{}
	for _, k := range relatives() {
		children[k.parent] = append(children[k.parent], k.pid)
	}
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree
}

// Group is the processes of a process group.
func Group(id int) (pids []int) {
	for _, k := range relatives() {
		if k.group == id {
			pids = append(pids, k.pid)
		}
	}
	return pids
}

// kin is whom a process belongs to.
type kin struct{ pid, parent, group int }

// relatives is that of all processes.
func relatives() (all []kin) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if k, ok := parseKin(b); ok {
			all = append(all, k)
		}
	}
	return all
}

// parseKin reads a stat file, whose second field may hold spaces and parentheses.
func parseKin(b []byte) (k kin, ok bool) {
	end := bytes.LastIndexByte(b, ')')
	if end < 0 {
		return k, false
	}
	head, _, _ := strings.Cut(string(b), " ")
	rest := strings.Fields(string(b[end+1:]))
	if len(rest) < 3 {
		return k, false
	}
	var errs [3]error
	k.pid, errs[0] = strconv.Atoi(head)
	k.parent, errs[1] = strconv.Atoi(rest[1])
	k.group, errs[2] = strconv.Atoi(rest[2])
	return k, errors.Join(errs[:]...) == nil
}

// Footprint is what some processes hold. Memory is in bytes; kernel socket buffers belong to no process and are not in it.
type Footprint struct {
	Private uint64 `json:"private_bytes"` // Private_Clean + Private_Dirty: what would be freed if they ended
	Pss     uint64 `json:"pss_bytes"`
	Rss     uint64 `json:"rss_bytes"`
	Fds     int    `json:"fds"`
	Threads int    `json:"threads"`
}

// ReadFootprint sums up pids.
func ReadFootprint(pids []int) (Footprint, error) {
	var sum Footprint
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return sum, fmt.Errorf("read memory of process %d: %w", pid, err)
		}
		f := ParseSmaps(b)
		sum.Private += f.Private
		sum.Pss += f.Pss
		sum.Rss += f.Rss
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		if err != nil {
			return sum, fmt.Errorf("count fds of process %d: %w", pid, err)
		}
		sum.Fds += len(fds)
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return sum, fmt.Errorf("count threads of process %d: %w", pid, err)
		}
		sum.Threads += len(threads)
	}
	return sum, nil
}

// ParseSmaps reads a smaps_rollup file; lines it does not know are left out.
func ParseSmaps(b []byte) Footprint {
	var f Footprint
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		w := strings.Fields(s.Text())
		if len(w) != 3 || w[2] != "kB" {
			continue
		}
		kb, err := strconv.ParseUint(w[1], 10, 64)
		if err != nil {
			continue
		}
		switch w[0] {
		case "Rss:":
			f.Rss += kb << 10
		case "Pss:":
			f.Pss += kb << 10
		case "Private_Clean:", "Private_Dirty:":
			f.Private += kb << 10
		}
	}
	return f
}
