package config

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

const (
	settle    = 200 * time.Millisecond // editors write in several steps: the file is read once nothing happened for this long
	settleMax = 2 * time.Second        // or after this long in any case
	// glance is how often the file is read in any case: no event reports changes on a network file system, nor that a
	// directory that was gone is back.
	glance = 5 * time.Second
)

// Watch sends to changed when path may hold something else, until ctx ends. It watches directories, since editors and
// Kubernetes put another file, or another link, in the place of the old. A change that nobody has taken from changed yet
// is not sent again.
func Watch(ctx context.Context, path string, changed chan<- struct{}, log *zap.Logger) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		log.Error("the configuration file cannot be watched: changes take a SIGHUP", zap.Error(err))
		return
	}
	defer fs.Close()
	w := watcher{fs: fs, path: path, log: log, changed: changed}
	w.follow()
	w.quiet = time.After(settle) // it may have changed since it was loaded, and may still be written
	w.run(ctx)
}

// watcher watches the directories of every name on the way to path.
type watcher struct {
	fs      *fsnotify.Watcher
	path    string
	log     *zap.Logger
	changed chan<- struct{}

	names  []string          // the symbolic links on the way, and the file
	dirs   []string          // their directories; an event of one itself says that it is gone
	failed map[string]string // why a directory is not watched, by its name

	quiet  <-chan time.Time // when nothing has happened for settle; nil: nothing has happened
	latest <-chan time.Time // when settleMax has passed since the first event
}

// run handles one event after the other, until ctx ends.
func (w *watcher) run(ctx context.Context) {
	glances := time.NewTicker(glance)
	defer glances.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.fs.Events:
			w.happened(e)
		case err := <-w.fs.Errors: // events were lost, or the watch of a directory that was replaced
			w.log.Debug("watching the configuration file", zap.Error(err))
			w.look()
		case <-w.quiet:
			w.look()
		case <-w.latest:
			w.look()
		case <-glances.C:
			if w.quiet == nil { // else it is being written
				w.look()
			}
		}
	}
}

// happened waits for the end of what an event has begun, if it concerns the file.
func (w *watcher) happened(e fsnotify.Event) {
	if !slices.Contains(w.names, e.Name) && !slices.Contains(w.dirs, e.Name) {
		return
	}
	w.quiet = time.After(settle)
	if w.latest == nil {
		w.latest = time.After(settleMax)
	}
}

// look has the file read, and follows the names to it anew.
func (w *watcher) look() {
	w.quiet, w.latest = nil, nil
	w.follow()
	select {
	case w.changed <- struct{}{}:
	default: // the last one has not been taken yet
	}
}

// follow finds the names and directories anew and watches these. What is wrong with one is logged once.
func (w *watcher) follow() {
	w.names, w.dirs = linksOf(w.path), nil
	for _, n := range w.names {
		w.dirs = append(w.dirs, filepath.Dir(n))
	}
	for _, d := range w.fs.WatchList() {
		if !slices.Contains(w.dirs, d) {
			_ = w.fs.Remove(d) // it may be gone, and its watch with it
		}
	}
	failed := make(map[string]string)
	for _, d := range w.dirs {
		if err := w.fs.Add(d); err != nil {
			failed[d] = err.Error()
			if w.failed[d] != failed[d] {
				w.log.Error("a directory of the configuration file cannot be watched: changes there are noticed later", zap.String("directory", d), zap.Error(err))
			}
		}
	}
	w.failed = failed
}

// linksOf returns each name whose replacement changes what path leads to: the symbolic links on the way, and the file.
func linksOf(path string) []string {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil // there is no working directory
	}
	var names []string
	for range 40 { // as many as the kernel follows, path_resolution(7)
		link, rest := firstLink(path)
		if link == "" {
			break
		}
		names = append(names, link)
		to, err := os.Readlink(link)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(link), to)
		}
		path = filepath.Join(to, rest)
	}
	return append(names, path)
}

// firstLink returns the first part of path that is a symbolic link, and what follows it.
func firstLink(path string) (link, rest string) {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && !os.IsPathSeparator(path[i]) {
			continue
		}
		if info, err := os.Lstat(path[:i]); err == nil && info.Mode()&os.ModeSymlink != 0 {
			return path[:i], path[i:]
		}
	}
	return "", ""
}
