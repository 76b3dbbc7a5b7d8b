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
	settle    = 200 * time.Millisecond // editors write in several steps: the file is looked at once it was left alone for so long
	settleMax = 2 * time.Second        // or after so long all the same
	glance    = 5 * time.Second        // and so often in any case: no event tells what a network file system holds, or that a directory that was gone is back
)

// Watch sends to changed when path may hold something else, until ctx ends. What is watched are the directories, since
// editors and Kubernetes put another file, or another link, in the place of the old.
func Watch(ctx context.Context, path string, changed chan<- struct{}, log *zap.Logger) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Error("the configuration file cannot be watched: changes take a SIGHUP", zap.Error(err))
		return
	}
	defer w.Close()
	tell := func() {
		select {
		case changed <- struct{}{}:
		default: // told already
		}
	}
	f := follower{w: w, path: path, log: log}
	f.follow()
	glances := time.NewTicker(glance)
	defer glances.Stop()
	quiet := time.After(settle) // it may have changed since it was loaded, and is being written perhaps
	var latest <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.Events:
			if !slices.Contains(f.names, e.Name) && !slices.Contains(f.dirs, e.Name) {
				continue
			}
			quiet = time.After(settle)
			if latest == nil {
				latest = time.After(settleMax)
			}
			continue
		case err := <-w.Errors: // events were lost, or the watch of a directory that was replaced: it is looked at all the same
			log.Debug("watching the configuration file", zap.Error(err))
		case <-quiet:
		case <-latest:
		case <-glances.C:
			if quiet != nil { // it is being written
				continue
			}
		}
		quiet, latest = nil, nil
		f.follow()
		tell()
	}
}

// follower watches the directories of every name on the way to path.
type follower struct {
	w     *fsnotify.Watcher
	path  string
	log   *zap.Logger
	names []string
	dirs  []string          // their directories; an event of one itself says that it is gone
	said  map[string]string // what is wrong with a directory, by its name
}

// follow finds the names and directories anew, and has these watched. What is wrong with one is logged once.
func (f *follower) follow() {
	f.names, f.dirs = linksOf(f.path), nil
	for _, n := range f.names {
		f.dirs = append(f.dirs, filepath.Dir(n))
	}
	for _, d := range f.w.WatchList() {
		if !slices.Contains(f.dirs, d) {
			_ = f.w.Remove(d) // it may be gone, and its watch with it
		}
	}
	said := make(map[string]string)
	for _, d := range f.dirs {
		if err := f.w.Add(d); err != nil {
			said[d] = err.Error()
			if f.said[d] != said[d] {
				f.log.Error("a directory of the configuration file cannot be watched: changes there are noticed later", zap.String("directory", d), zap.Error(err))
			}
		}
	}
	f.said = said
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
