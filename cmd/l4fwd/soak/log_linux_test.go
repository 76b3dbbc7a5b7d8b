package soak

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

// soakLog takes what a daemon writes to stderr, line by line.
type soakLog struct {
	d    *soakDaemon
	mu   sync.Mutex
	rest []byte
	said map[string]int // lines by what they say
}

func (l *soakLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			return len(b), nil
		}
		l.line(string(line))
		l.rest = rest
	}
}

func (l *soakLog) line(line string) {
	switch {
	case strings.Contains(line, `"msg":"access"`):
		l.d.s.ledger.line(l.d, line)
	case strings.Contains(line, `"msg":"reloaded"`) && strings.Contains(line, `"by":"SIGHUP"`):
		l.said["reloaded by SIGHUP"]++
	case strings.Contains(line, `"msg":"reloaded"`):
		l.said["reloaded by watch"]++
	case strings.Contains(line, `"msg":"started"`):
		_, after, _ := strings.Cut(line, `"engine":"`)
		engine, _, _ := strings.Cut(after, `"`)
		l.d.s.count.add("starts on " + engine)
	case strings.Contains(line, `"msg":"reload failed: nothing was changed"`):
		l.said["reload failed"]++
	case !strings.HasPrefix(line, "{"), strings.Contains(line, `"level":"error"`),
		strings.Contains(line, `"level":"warn"`) && strings.Contains(line, `"msg":"not ready"`):
		l.d.s.fail(fmt.Sprintf("daemon %d (%s) says: %s", l.d.index, l.d.engine, line))
	}
}

func (l *soakLog) times(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said[what]
}
