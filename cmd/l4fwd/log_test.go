package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

func TestLogFormats(t *testing.T) {
	one := func(cfg config.Log, terminal bool) string {
		var out bytes.Buffer
		w := newLogWriter(&out)
		log := newLogger(cfg, newLevel(cfg), w, terminal)
		log.Debug("hidden")
		log.Info("access", zap.String("reason", "client_closed"), zap.Duration("took", 1500*time.Millisecond))
		w.Close(time.Second)
		return out.String()
	}
	var line map[string]any
	for _, text := range []string{one(config.Log{Level: "info"}, false), one(config.Log{Level: "info", Format: "json"}, true)} {
		require.NoError(t, json.Unmarshal([]byte(text), &line), text)
		require.Equal(t, "access", line["msg"])
		require.Equal(t, "info", line["level"])
		require.Equal(t, "1.5s", line["took"])
		require.Regexp(t, regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$`), line["ts"])
	}
	for _, text := range []string{one(config.Log{Level: "info"}, true), one(config.Log{Level: "info", Format: "console"}, false)} {
		require.Contains(t, text, "  info  access  {\"reason\"")
	}
	require.Empty(t, one(config.Log{Level: "error"}, false))
}

// stuckWriter takes nothing until it is freed.
type stuckWriter struct {
	free chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer
}

func (w *stuckWriter) Write(p []byte) (int, error) {
	<-w.free
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got.Write(p)
}

// A log that nobody reads must hold up nothing: neither those who log nor the end of the process.
func TestAStuckLogLosesLinesInsteadOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuckWriter{free: make(chan struct{})}
		w := newLogWriter(out)
		line := []byte(strings.Repeat("x", 1023) + "\n")
		start := time.Now()
		for range 3 * logBuffer / len(line) {
			_, err := w.Write(line)
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(start))
		require.NotZero(t, w.Dropped())
		w.Close(2 * time.Second)
		require.Equal(t, 2*time.Second, time.Since(start))
		close(out.free)
		<-w.done
		require.Zero(t, out.got.Len()%len(line), "whole lines")
	})
}
