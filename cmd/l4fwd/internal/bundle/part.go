package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// partTime and partBytes are the limits of a part that has none of its own.
	partTime  = 10 * time.Second
	partBytes = 4 << 20
	// graceTime is how long a part that does not heed its context is waited for.
	graceTime = 2 * time.Second
)

// Part makes one file of an archive.
type Part struct {
	Name, About string
	Limit       int           // bytes; 0: 4 MiB
	Time        time.Duration // 0: 10 s
	Binary      bool          // no text: credentials are not looked for
	// Get writes the file. What it has written before an error is kept.
	Get func(ctx context.Context, out io.Writer) error
}

// file runs the part within its limits.
func (p Part) file(ctx context.Context) File {
	if p.Limit == 0 {
		p.Limit = partBytes
	}
	if p.Time == 0 {
		p.Time = partTime
	}
	begun := time.Now()
	ctx, cancel := context.WithTimeout(ctx, p.Time)
	defer cancel()
	out, done := &bounded{limit: p.Limit}, make(chan error, 1)
	go func() { done <- p.Get(ctx, out) }()
	err := p.wait(ctx, done)
	f := File{Name: p.Name, About: p.About, Took: seconds(begun)}
	f.text, f.Truncated = out.take()
	switch {
	case f.Truncated:
		f.Problem = fmt.Sprintf("it is longer than %d bytes; the rest was left out", p.Limit)
	case errors.Is(err, context.DeadlineExceeded):
		f.Problem = fmt.Sprintf("it was not complete within %s", p.Time)
	case err != nil:
		f.Problem = err.Error()
	}
	f.Missing = f.Problem != "" && len(f.text) == 0
	return f
}

// wait waits for the part, and a little longer than its time for one that does not heed it, which is then left behind.
func (p Part) wait(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	t := time.NewTimer(graceTime)
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
		return context.DeadlineExceeded
	}
}

// errLong ends a part that writes more than its limit.
var errLong = errors.New("longer than its limit")

// bounded keeps what is written up to a limit. It may be taken while somebody still writes, who then gets an error.
type bounded struct {
	mu        sync.Mutex
	b         bytes.Buffer
	limit     int
	truncated bool
	taken     bool
}

// Write keeps what fits; the rest is an error.
func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.taken {
		return 0, errLong
	}
	n := min(len(p), b.limit-b.b.Len())
	b.b.Write(p[:n])
	if n < len(p) {
		b.truncated = true
		return n, errLong
	}
	return n, nil
}

// take returns what was kept, and ends the writing.
func (b *bounded) take() (text []byte, truncated bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken = true
	return b.b.Bytes(), b.truncated
}

// seconds is the time since then, to the millisecond.
func seconds(since time.Time) float64 { return time.Since(since).Round(time.Millisecond).Seconds() }
