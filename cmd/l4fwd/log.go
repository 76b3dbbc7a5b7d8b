package main

import (
	"io"
	"log"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

// newLevel returns the level of cfg, which a reload may change.
func newLevel(cfg config.Log) zap.AtomicLevel {
	level, err := zapcore.ParseLevel(cfg.Level)
	if err != nil {
		level = zapcore.InfoLevel // the configuration allows no other
	}
	return zap.NewAtomicLevelAt(level)
}

// newLogger returns a logger of events, which level filters; nothing is sampled.
func newLogger(cfg config.Log, level zapcore.LevelEnabler, w zapcore.WriteSyncer, terminal bool) *zap.Logger {
	return zap.New(zapcore.NewCore(newEncoder(cfg, terminal), w, level))
}

// newAccessLogger returns the logger of the access log, message "access" at level info. log.access alone switches it.
func newAccessLogger(cfg config.Log, w zapcore.WriteSyncer, terminal bool) *zap.Logger {
	return zap.New(zapcore.NewCore(newEncoder(cfg, terminal), w, zapcore.InfoLevel))
}

// logsJSON reports whether lines are JSON rather than for people.
func logsJSON(cfg config.Log, terminal bool) bool {
	return cfg.Format == "json" || cfg.Format == "" && !terminal
}

// newEncoder makes lines with the fields ts, level, msg and those of the message.
func newEncoder(cfg config.Log, terminal bool) zapcore.Encoder {
	enc := zapcore.EncoderConfig{
		TimeKey: "ts", LevelKey: "level", NameKey: "logger", MessageKey: "msg",
		EncodeTime:     zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00"),
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
	}
	if logsJSON(cfg, terminal) {
		return zapcore.NewJSONEncoder(enc)
	}
	enc.ConsoleSeparator = "  "
	return zapcore.NewConsoleEncoder(enc)
}

// isTerminal reports whether f is a terminal, or another character device, rather than a file, a pipe or a socket.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// stdLogger returns a logger for the HTTP servers' complaints, which are about what callers do.
func stdLogger(l *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(l, zapcore.DebugLevel)
	if err != nil {
		return log.New(io.Discard, "", 0) // only for a level zap does not know
	}
	return std
}

// logBuffer is how many bytes of lines may wait to be written, some thousand lines.
const logBuffer = 1 << 20

// logWriter writes lines in the background, so that a pipe nobody reads, or a journal that is slow, holds up neither a
// loop nor a drain. Lines that find its buffer full are dropped and counted.
type logWriter struct {
	out io.Writer

	mu      sync.Mutex
	work    sync.Cond // lines wait, or the writer was closed
	waiting []byte
	closed  bool
	dropped uint64

	done chan struct{} // closed when the goroutine has ended
}

func newLogWriter(out io.Writer) *logWriter {
	w := &logWriter{out: out, done: make(chan struct{})}
	w.work.L = &w.mu
	go w.run()
	return w
}

// Write takes one or more lines. It never blocks and never fails.
func (w *logWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.waiting)+len(p) > logBuffer {
		w.dropped++
		return len(p), nil
	}
	w.waiting = append(w.waiting, p...)
	w.work.Signal()
	return len(p), nil
}

func (w *logWriter) run() {
	defer close(w.done)
	var batch []byte
	for {
		w.mu.Lock()
		for len(w.waiting) == 0 && !w.closed {
			w.work.Wait()
		}
		if len(w.waiting) == 0 {
			w.mu.Unlock()
			return
		}
		w.waiting, batch = batch[:0], w.waiting
		w.mu.Unlock()
		_, _ = w.out.Write(batch) // there is no other place to complain
	}
}

// Sync does nothing: zap calls it after a fatal line, and l4fwd logs none. Close writes what waits.
func (w *logWriter) Sync() error { return nil }

// Dropped is how many lines were lost because the log was not read fast enough.
func (w *logWriter) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Close writes what waits, for at most the time given, and takes no more.
func (w *logWriter) Close(limit time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.work.Signal()
	w.mu.Unlock()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-w.done:
	case <-t.C:
	}
}
