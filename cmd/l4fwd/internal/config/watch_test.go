package config

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// watched is a file under Watch.
type watched struct {
	*testing.T
	dir     string
	changed chan struct{}
	lines   *observer.ObservedLogs
}

// watching watches the file at path within dir until the test ends. The first look, which follows every start, is taken.
func watching(t *testing.T, dir, path string) *watched {
	t.Helper()
	core, lines := observer.New(zap.DebugLevel)
	w := &watched{t, dir, make(chan struct{}, 1), lines}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); Watch(ctx, path, w.changed, zap.New(core)) }()
	t.Cleanup(func() { cancel(); <-done })
	w.sent()
	return w
}

// sent waits for a change. It comes long before the next glance would find it.
func (w *watched) sent() {
	w.Helper()
	select {
	case <-w.changed:
	case <-time.After(glance - time.Second):
		w.Fatal("no change was sent")
	}
}

func (w *watched) put(name, text string) {
	w.Helper()
	require.NoError(w, os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600))
}

func TestAWrittenFileIsAChange(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	require.NoError(t, os.WriteFile(path, []byte("one"), 0o600))
	before := StateOf(path)
	w := watching(t, dir, path)
	require.Equal(t, before, StateOf(path), "the first look finds what was there")
	w.put("c.yaml", "two")
	w.sent()
	require.NotEqual(t, before, StateOf(path))
	w.put("c.yaml", "one")
	w.sent()
	require.Equal(t, before, StateOf(path), "the contents count, not the time")
}

func TestAFileThatIsMovedThereIsAChange(t *testing.T) {
	dir := t.TempDir()
	w := watching(t, dir, filepath.Join(dir, "c.yaml"))
	require.False(t, StateOf(filepath.Join(dir, "c.yaml")).There)
	w.put("new", "two")
	require.NoError(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "c.yaml")))
	w.sent()
	require.True(t, StateOf(filepath.Join(dir, "c.yaml")).There)
}

// Kubernetes replaces a link on the way to the file, in another directory than the file's.
func TestALinkOnTheWayIsFollowed(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "c.yaml"), []byte(name), 0o600))
	}
	data, path := filepath.Join(dir, "data"), filepath.Join(dir, "c.yaml")
	require.NoError(t, os.Symlink("one", data))
	require.NoError(t, os.Symlink("data/c.yaml", path))
	w := watching(t, dir, path)
	one := StateOf(path)
	require.NoError(t, os.Symlink("two", data+".new"))
	require.NoError(t, os.Rename(data+".new", data))
	w.sent()
	require.NotEqual(t, one, StateOf(path))
	w.put("two/c.yaml", "three") // the directory that the new link leads to is watched now
	w.sent()
}

func TestOtherFilesOfTheDirectoryAreNoChange(t *testing.T) {
	w := watcher{names: []string{"/etc/l4fwd/c.yaml"}, dirs: []string{"/etc/l4fwd"}}
	w.happened(fsnotify.Event{Name: "/etc/l4fwd/other"})
	require.Nil(t, w.quiet)
	w.happened(fsnotify.Event{Name: "/etc/l4fwd"})
	require.NotNil(t, w.quiet, "the directory itself is replaced")
}

// A file that is written without a pause is read all the same.
func TestAFileThatIsWrittenOnAndOnIsRead(t *testing.T) {
	w := watcher{names: []string{"c.yaml"}}
	w.happened(fsnotify.Event{Name: "c.yaml"})
	quiet, latest := w.quiet, w.latest
	w.happened(fsnotify.Event{Name: "c.yaml"})
	require.NotEqual(t, quiet, w.quiet, "it waits for a pause anew")
	require.Equal(t, latest, w.latest, "but no longer than at first")
}

// A directory that is gone is logged once, and its return is noticed without an event.
func TestADirectoryThatIsGoneComesBack(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "etc")
	require.NoError(t, os.Mkdir(dir, 0o700))
	w := watching(t, dir, filepath.Join(dir, "c.yaml"))
	require.NoError(t, os.RemoveAll(dir))
	w.sent()
	require.Equal(t, 1, w.lines.FilterMessageSnippet("cannot be watched").Len())
	require.NoError(t, os.Mkdir(dir, 0o700))
	w.put("c.yaml", "x")
	require.Eventually(t, func() bool {
		select {
		case <-w.changed:
			return true
		default:
			return false
		}
	}, 2*glance, 10*time.Millisecond)
	w.put("c.yaml", "y")
	w.sent()
	require.Equal(t, 1, w.lines.FilterMessageSnippet("cannot be watched").Len())
}

func TestLinksOfALoopEnd(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	require.NoError(t, os.Symlink("b", path))
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "b")))
	require.Len(t, linksOf(path), 41, "as many as the kernel follows, and where that ends")
	require.False(t, StateOf(path).There)
}
