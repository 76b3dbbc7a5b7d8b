package logging

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

const (
	// bufferSize is how many bytes of lines may wait to be written: some thousand lines.
	bufferSize = 1 << 20
	// A write that takes nothing is tried again, after firstPause, then after twice as long each time up to lastPause.
	firstPause = time.Millisecond
	lastPause  = 250 * time.Millisecond
	// slowReader is how long lines wait for the reader of a non-blocking pipe (EAGAIN). A blocking one waits for ever.
	slowReader = 30 * time.Second
	// brokenSink is how long they wait after any other error, such as that of a full disk.
	brokenSink = 2 * time.Second
)

// writer writes lines in the background, so that an unread pipe or a slow journal holds up neither a loop nor a drain. It
// drops and counts lines that do not fit into its buffer, and lines that cannot be written. Once writing works again, it
// writes the line that lost returns.
type writer struct {
	out  io.Writer
	lost func(lines uint64, why string) []byte

	mu      sync.Mutex
	work    sync.Cond // lines wait, or the writer was closed
	waiting []byte
	closed  bool
	dropped uint64
	why     string // why the last line was dropped
	recent  recent

	reported uint64          // of dropped; owned by run
	cut      bool            // the last line written is incomplete; owned by run
	abandon  context.Context // ends when Close has waited long enough: run gives up what cannot be written
	giveUp   context.CancelFunc
	done     chan struct{} // closed when run has ended
}

// newWriter returns a writer that Close must end. lost makes the line that reports lost lines, and why the last was lost.
func newWriter(out io.Writer, lost func(uint64, string) []byte) *writer {
	w := &writer{out: out, lost: lost, done: make(chan struct{})}
	w.work.L = &w.mu
	w.abandon, w.giveUp = context.WithCancel(context.Background())
	go w.run()
	return w
}

// Write takes one or more lines. It never blocks and never fails.
func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.recent.add(p)
	if w.closed || len(w.waiting)+len(p) > bufferSize {
		w.drop(p, "the buffer was full: lines are not taken as fast as they are written")
		return len(p), nil
	}
	w.waiting = append(w.waiting, p...)
	w.work.Signal()
	return len(p), nil
}

// Sync does nothing. Zap calls it after a fatal line, and l4fwd logs none. Close writes the lines that wait.
func (w *writer) Sync() error { return nil }

// Dropped is how many lines were lost.
func (w *writer) Dropped() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped
}

// Recent is a copy of the last lines, also of those that were lost.
func (w *writer) Recent() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.recent.lines()
}

// Close writes the lines that wait, for at most limit, and takes no more.
func (w *writer) Close(limit time.Duration) {
	defer w.giveUp()
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

// drop counts the lines of p as lost. The caller holds mu.
func (w *writer) drop(p []byte, why string) {
	w.dropped += uint64(max(bytes.Count(p, []byte("\n")), 1))
	w.why = why
}

// run writes batches of lines until the writer is closed and empty.
func (w *writer) run() {
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
		if w.writeOrDrop(batch) {
			w.reportLoss()
		}
	}
}

// reportLoss writes how many lines were lost since the last report, if any were.
func (w *writer) reportLoss() {
	w.mu.Lock()
	lines, why := w.dropped-w.reported, w.why
	w.mu.Unlock()
	if lines == 0 {
		return
	}
	if line := w.lost(lines, why); w.writeOrDrop(line) {
		w.reported += lines
	}
}

// writeOrDrop writes lines and reports whether all were written; else it has counted the rest.
func (w *writer) writeOrDrop(lines []byte) bool {
	rest, err := w.write(lines)
	if err == nil {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(rest, err.Error())
	return false
}

// write goes on where a partial write stopped, and waits for a sink that takes nothing: see slowReader and brokenSink. It
// returns the lines that were not written, the first of them perhaps in part.
func (w *writer) write(lines []byte) (rest []byte, err error) {
	if w.cut { // the rest of that line was dropped: it must not spoil the next one
		lines = append([]byte("\n"), lines...)
	}
	begun, pause := time.Now(), firstPause
	for len(lines) > 0 {
		n, err := w.out.Write(lines)
		if n > 0 {
			w.cut = lines[n-1] != '\n'
			begun, pause = time.Now(), firstPause
		}
		lines = lines[n:]
		if err == nil && n == 0 {
			err = io.ErrShortWrite
		}
		if err == nil {
			continue
		}
		if !w.wait(err, time.Since(begun), pause) {
			return bytes.TrimPrefix(lines, []byte("\n")), err
		}
		pause = min(2*pause, lastPause)
	}
	return nil, nil
}

// wait pauses before another attempt to write, and reports whether there is to be one. waited is the time since anything
// was written.
func (w *writer) wait(err error, waited, pause time.Duration) bool {
	limit := brokenSink
	if errors.Is(err, syscall.EAGAIN) {
		limit = slowReader
	}
	if waited >= limit {
		return false
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.abandon.Done():
		return false
	}
}
