package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// sink takes what its script allows.
type sink struct {
	mu   sync.Mutex
	got  bytes.Buffer
	err  error // of each write from now on
	most int   // bytes that a write takes before it fails with err; 0: all, without one
	free chan struct{}
}

func (s *sink) Write(p []byte) (int, error) {
	if s.free != nil {
		<-s.free
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return s.got.Write(p)
	}
	n, _ := s.got.Write(p[:min(s.most, len(p))])
	return n, s.err
}

func (s *sink) behaves(err error, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.most = err, most
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

func reports(lines uint64, why string) []byte { return fmt.Appendf(nil, "lost %d: %s\n", lines, why) }

// inSimulatedTime runs a test of a writer to a sink.
func inSimulatedTime(t *testing.T, test func(t *testing.T, w *writer, out *sink)) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{}
		w := newWriter(out, reports)
		test(t, w, out)
		w.Close(time.Minute)
		<-w.done
	})
}

// A log that nobody reads must hold up nothing: neither those who log nor the end of the process.
func TestAStuckLogLosesLinesInsteadOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &sink{free: make(chan struct{})}
		w := newWriter(out, reports)
		line := []byte(strings.Repeat("x", 1023) + "\n")
		start := time.Now()
		for range 3 * bufferSize / len(line) {
			_, err := w.Write(line)
			require.NoError(t, err)
		}
		require.Zero(t, time.Since(start))
		require.NotZero(t, w.Dropped())
		w.Close(2 * time.Second)
		require.Equal(t, 2*time.Second, time.Since(start))
		close(out.free)
		<-w.done
		for got := range strings.Lines(out.text()) {
			require.True(t, got == string(line) || strings.HasPrefix(got, "lost "), "whole lines")
		}
	})
}

// A stderr that another process made non-blocking lost every line for which the pipe had no room at that moment.
func TestEAGAINWaitsAndGoesOnWhereItStopped(t *testing.T) {
	inSimulatedTime(t, func(t *testing.T, w *writer, out *sink) {
		out.behaves(syscall.EAGAIN, 3) // each write takes three bytes
		want := ""
		for i := range 400 {
			line := fmt.Sprintf("line %d\n", i)
			want += line
			_, _ = w.Write([]byte(line))
		}
		time.Sleep(10 * time.Second)
		require.Equal(t, want, out.text())
		out.behaves(syscall.EAGAIN, 0)
		_, _ = w.Write([]byte("late\n"))
		time.Sleep(slowReader / 2)
		out.behaves(nil, 0)
		time.Sleep(2 * lastPause)
		require.Equal(t, want+"late\n", out.text())
		require.Zero(t, w.Dropped())
	})
}

// On a full disk all lines were lost, and the counter stayed at 0.
func TestLinesThatCannotBeWrittenAreCountedAndReported(t *testing.T) {
	inSimulatedTime(t, func(t *testing.T, w *writer, out *sink) {
		out.behaves(syscall.ENOSPC, 0)
		_, _ = w.Write([]byte("one\ntwo\n"))
		_, _ = w.Write([]byte("three\n"))
		time.Sleep(3 * brokenSink)
		require.Equal(t, uint64(3), w.Dropped())
		out.behaves(nil, 0)
		_, _ = w.Write([]byte("four\n"))
		time.Sleep(time.Second)
		require.Equal(t, "four\nlost 3: no space left on device\n", out.text())
		_, _ = w.Write([]byte("five\n"))
		time.Sleep(time.Second)
		require.Equal(t, "four\nlost 3: no space left on device\nfive\n", out.text(), "once")
	})
}

// What a moment of a full disk keeps waiting is written when there is room again.
func TestAShortFailureLosesNothing(t *testing.T) {
	inSimulatedTime(t, func(t *testing.T, w *writer, out *sink) {
		out.behaves(syscall.ENOSPC, 1)
		_, _ = w.Write([]byte("one\n"))
		synctest.Wait()
		out.behaves(nil, 0)
		time.Sleep(lastPause)
		require.Equal(t, "one\n", out.text())
		require.Zero(t, w.Dropped())
	})
}

func TestALineThatWasCutDoesNotSpoilTheNext(t *testing.T) {
	inSimulatedTime(t, func(t *testing.T, w *writer, out *sink) {
		out.behaves(syscall.EIO, 2)
		_, _ = w.Write([]byte("ab"))
		synctest.Wait()
		out.behaves(syscall.EIO, 0)
		_, _ = w.Write([]byte("cd\nef\n"))
		time.Sleep(2 * brokenSink)
		require.Equal(t, uint64(2), w.Dropped())
		_, _ = w.Write([]byte("gh\n"))
		time.Sleep(2 * brokenSink)
		require.Equal(t, uint64(3), w.Dropped(), "the line break before it is no line")
		out.behaves(nil, 0)
		_, _ = w.Write([]byte("ij\n"))
		time.Sleep(time.Second)
		require.Equal(t, "ab\nij\nlost 3: input/output error\n", out.text())
	})
}

// Close ends the attempts at a sink that takes nothing: the goroutine must not outlive its owner.
func TestCloseGivesUpInTime(t *testing.T) {
	for _, err := range []error{syscall.EAGAIN, syscall.ENOSPC, errors.New("broken")} {
		synctest.Test(t, func(t *testing.T) {
			out := &sink{}
			out.behaves(err, 0)
			w := newWriter(out, reports)
			_, _ = w.Write([]byte("one\n"))
			begun := time.Now()
			w.Close(time.Second)
			<-w.done
			require.Equal(t, time.Second, time.Since(begun))
			require.Equal(t, uint64(1), w.Dropped())
			n, writeErr := w.Write([]byte("too late\n"))
			require.NoError(t, writeErr)
			require.Equal(t, 9, n)
			require.Equal(t, uint64(2), w.Dropped())
			require.NoError(t, w.Sync())
		})
	}
}

// zeroWriter is a broken io.Writer: it takes nothing and reports no error.
type zeroWriter struct{}

func (zeroWriter) Write([]byte) (int, error) { return 0, nil }

func TestAWriterThatTakesNothingDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriter(zeroWriter{}, reports)
		_, _ = w.Write([]byte("one\n"))
		time.Sleep(2 * brokenSink)
		require.Equal(t, uint64(1), w.Dropped())
		require.Equal(t, io.ErrShortWrite.Error(), w.why)
		w.Close(time.Second)
		<-w.done
	})
}
