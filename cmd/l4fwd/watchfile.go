package main

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/zap"
)

// reloadWatch is the value of reload that has the file watched.
const reloadWatch = "watch"

// fileState is what a file held: by its contents, since a new time or inode alone is no change.
type fileState struct {
	there bool
	sum   [sha256.Size]byte
}

func stateOfFile(path string) fileState {
	text, err := readBounded(path)
	if err != nil {
		return fileState{}
	}
	return fileState{there: true, sum: sha256.Sum256(text)}
}

const (
	settle    = 200 * time.Millisecond // editors write in several steps: the file is looked at once it was left alone for so long
	settleMax = 2 * time.Second        // or after so long all the same
)

// watchFile sends to changed when path may hold something else, until ctx ends. What is watched are the directories, since
// editors and Kubernetes put another file, or another link, in the place of the old.
func watchFile(ctx context.Context, path string, changed chan<- struct{}, log *zap.Logger) {
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
	names := follow(w, path, log)
	tell() // it may have changed since it was loaded
	var quiet, latest <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.Events:
			if !slices.Contains(names, e.Name) {
				continue
			}
			quiet = time.After(settle)
			if latest == nil {
				latest = time.After(settleMax)
			}
			continue
		case err := <-w.Errors: // events were lost
			log.Warn("watching the configuration file", zap.Error(err))
		case <-quiet:
		case <-latest:
		}
		quiet, latest = nil, nil
		names = follow(w, path, log)
		tell()
	}
}

// follow watches the directories of every name on the way to path, and returns the names.
func follow(w *fsnotify.Watcher, path string, log *zap.Logger) []string {
	names := linksOf(path)
	var dirs []string
	for _, n := range names {
		dirs = append(dirs, filepath.Dir(n))
	}
	for _, d := range w.WatchList() {
		if !slices.Contains(dirs, d) {
			_ = w.Remove(d) // it may be gone, and its watch with it
		}
	}
	for _, d := range dirs {
		if err := w.Add(d); err != nil {
			log.Error("a directory of the configuration file cannot be watched: changes there take a SIGHUP", zap.String("directory", d), zap.Error(err))
		}
	}
	return names
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
