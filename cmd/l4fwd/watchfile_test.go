package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The ways in which a file is put in place of another.
func TestAChangedFileIsLoaded(t *testing.T) {
	ways := map[string]struct {
		lay     func(t *testing.T, dir, text string) string // puts the first file there and returns its path
		replace func(t *testing.T, dir, text string)
	}{
		"written": {
			func(t *testing.T, dir, text string) string { return put(t, dir+"/l4fwd.yaml", text) },
			func(t *testing.T, dir, text string) { put(t, dir+"/l4fwd.yaml", text) },
		},
		"by an editor that moves the old away": {
			func(t *testing.T, dir, text string) string { return put(t, dir+"/l4fwd.yaml", text) },
			func(t *testing.T, dir, text string) {
				require.NoError(t, os.Rename(dir+"/l4fwd.yaml", dir+"/l4fwd.yaml~"))
				put(t, dir+"/l4fwd.yaml", text)
				require.NoError(t, os.Remove(dir+"/l4fwd.yaml~"))
			},
		},
		"by an editor that moves a new one there": {
			func(t *testing.T, dir, text string) string { return put(t, dir+"/l4fwd.yaml", text) },
			func(t *testing.T, dir, text string) {
				put(t, dir+"/.l4fwd.yaml.swp", text)
				require.NoError(t, os.Rename(dir+"/.l4fwd.yaml.swp", dir+"/l4fwd.yaml"))
			},
		},
		"in pieces": {
			func(t *testing.T, dir, text string) string { return put(t, dir+"/l4fwd.yaml", text) },
			func(t *testing.T, dir, text string) {
				f, err := os.OpenFile(dir+"/l4fwd.yaml", os.O_WRONLY|os.O_TRUNC, 0)
				require.NoError(t, err)
				defer f.Close()
				for piece := range slices.Chunk([]byte(text), len(text)/3) { // each of which leaves a faulty file
					time.Sleep(settle / 10)
					_, err := f.Write(piece)
					require.NoError(t, err)
				}
			},
		},
		"by replacing the directory": {
			func(t *testing.T, dir, text string) string {
				require.NoError(t, os.Mkdir(dir+"/etc", 0o700))
				return put(t, dir+"/etc/l4fwd.yaml", text)
			},
			func(t *testing.T, dir, text string) {
				require.NoError(t, os.MkdirAll(dir+"/new", 0o700))
				put(t, dir+"/new/l4fwd.yaml", text)
				require.NoError(t, os.Rename(dir+"/etc", dir+"/old"))
				require.NoError(t, os.Rename(dir+"/new", dir+"/etc"))
				require.NoError(t, os.RemoveAll(dir+"/old"))
			},
		},
		"by Kubernetes": { // as its AtomicWriter does: l4fwd.yaml → ..data/l4fwd.yaml, ..data → ..TIME
			func(t *testing.T, dir, text string) string {
				require.NoError(t, os.Mkdir(dir+"/..1", 0o700))
				put(t, dir+"/..1/l4fwd.yaml", text)
				require.NoError(t, os.Symlink("..1", dir+"/..data"))
				require.NoError(t, os.Symlink("..data/l4fwd.yaml", dir+"/l4fwd.yaml"))
				return dir + "/l4fwd.yaml"
			},
			func(t *testing.T, dir, text string) {
				old, err := os.Readlink(dir + "/..data")
				require.NoError(t, err)
				require.NoError(t, os.Mkdir(dir+"/"+old+"x", 0o700))
				put(t, dir+"/"+old+"x/l4fwd.yaml", text)
				require.NoError(t, os.Symlink(old+"x", dir+"/..data_tmp"))
				require.NoError(t, os.Rename(dir+"/..data_tmp", dir+"/..data"))
				require.NoError(t, os.RemoveAll(dir+"/"+old))
			},
		},
		"behind a link elsewhere": {
			func(t *testing.T, dir, text string) string {
				require.NoError(t, os.Mkdir(dir+"/srv", 0o700))
				put(t, dir+"/srv/real.yaml", text)
				require.NoError(t, os.Symlink(dir+"/srv/real.yaml", dir+"/l4fwd.yaml"))
				return dir + "/l4fwd.yaml"
			},
			func(t *testing.T, dir, text string) { put(t, dir+"/srv/real.yaml", text) },
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := greeterNamed(t, "one"), greeterNamed(t, "two")
			listen, dir := freePort(t), t.TempDir()
			text := func(upstream string) string {
				return fmt.Sprintf("reload: watch\nlisten: [%q]\nupstream: %q\n", listen, upstream)
			}
			p := &process{health: freePort(t), admin: freePort(t), log: &lockedBuffer{}, ended: make(chan struct{})}
			p.cmd = command(t, nil, "serve", "--config", way.lay(t, dir, text(one)), "--health", p.health, "--admin", p.admin)
			p.start(t)
			p.eventually(t, func() bool { return p.get("/readyz") == "200 ok\n" })
			for i, upstream := range []string{two, one, two} {
				way.replace(t, dir, text(upstream))
				p.eventually(t, func() bool { return strings.Count(p.log.String(), saidReloaded) == i+1 })
				_, name := hail(t, listen)
				require.Equal(t, []string{"two", "one"}[i%2], name)
			}
			way.replace(t, dir, text(two)+"# a comment\n")
			p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"changed":[]`) })
			require.Contains(t, p.log.String(), `"by":"file changed"`)
			require.NotContains(t, p.log.String(), saidFailed)
			require.NotContains(t, p.log.String(), "watched")
		})
	}
}

// As internal/config watches: an event is followed by a load after settle, and the file is read every glance in any case.
const (
	settle = 200 * time.Millisecond
	glance = 5 * time.Second
)

// A faulty file is logged once, however often it is touched or written again.
func TestAFaultyFileIsLoggedOnce(t *testing.T) {
	one := greeterNamed(t, "one")
	good := fmt.Sprintf("reload: watch\nlisten: [%q]\nupstream: %q\n", freePort(t), one)
	p := startedWithFile(t, good, nil)
	for range 3 {
		p.writes(t, good+"nonsense: 1\n")
		p.eventually(t, func() bool { return strings.Contains(p.log.String(), saidFailed) })
		require.NoError(t, os.Chtimes(p.file, time.Time{}, time.Now().Add(time.Hour)))
		time.Sleep(3 * settle)
	}
	time.Sleep(glance)
	require.Equal(t, 1, strings.Count(p.log.String(), saidFailed))
	p.writes(t, good+"# better\n")
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), saidReloaded) })
}

func put(t *testing.T, path, text string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
