package config

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// check of a pipe that nobody writes to waited for ever.
func TestAPipeIsReadWithoutWaitingForEver(t *testing.T) {
	for name, write := range map[string]func(*os.File){
		"without a writer":           func(f *os.File) { f.Close() },
		"with a silent one":          func(*os.File) {},
		"with one that does not end": func(f *os.File) { _, _ = f.WriteString("upstream: a.example:443\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "pipe")
			require.NoError(t, syscall.Mkfifo(path, 0o600))
			writer, err := os.OpenFile(path, os.O_RDWR, 0)
			require.NoError(t, err)
			defer writer.Close()
			write(writer)
			_, err = readBounded(path)
			require.EqualError(t, err, "is a pipe, and nobody wrote to it and closed it within 2s; name a file")
		})
	}
}

// A shell's <(command) is a pipe with a writer, which may come after us.
func TestAPipeWithAWriterIsReadToItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	done := make(chan error, 1)
	go func() { done <- os.WriteFile(path, []byte("upstream: a.example:443\n"), 0) }() // waits for the reader
	l, said := try(t, "--config", path)
	require.NoError(t, <-done)
	require.Empty(t, said)
	require.Equal(t, hostPort("a.example:443"), l.Config.Upstreams[0].Address)
}

func TestDevicesAndSocketsAreNoFiles(t *testing.T) {
	for path, want := range map[string]string{"/dev/zero": "is a device; name a file", "/dev/full": "is a device; name a file"} {
		_, err := readBounded(path)
		require.EqualError(t, err, want, path)
	}
	text, err := readBounded(os.DevNull)
	require.NoError(t, err, "it is the usual name for no file")
	require.Empty(t, text)

	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	_, err = readBounded(path)
	require.EqualError(t, err, "is a socket; name a file")
}

func TestAFileOfTheLargestSizeIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.yaml")
	const most = 1 << 20 // as the error says
	require.NoError(t, os.WriteFile(path, make([]byte, most), 0o600))
	text, err := readBounded(path)
	require.NoError(t, err)
	require.Len(t, text, most)
	require.NoError(t, os.WriteFile(path, make([]byte, most+1), 0o600))
	_, err = readBounded(path)
	require.EqualError(t, err, "is larger than 1 MiB, so it is no configuration")
}

func TestAFileWithoutPermissionIsSaidToBe(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root reads everything")
	}
	path := write(t, "upstream: a.example:443\n")
	require.NoError(t, os.Chmod(path, 0))
	_, said := try(t, "--config", path)
	require.Equal(t, path+": cannot be read: permission denied\n", said)
}

func TestNamesOfFiles(t *testing.T) {
	path := write(t, "")
	for text, want := range map[string]bool{path: true, "x.yaml": true, "x.yml": true, filepath.Dir(path): false, "serve": false, "": false} {
		require.Equal(t, want, NamesFile(text), text)
	}
}

func TestTheStateOfAFileGoesByItsContents(t *testing.T) {
	path := write(t, "one")
	one := StateOf(path)
	require.True(t, one.There)
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)))
	require.Equal(t, one, StateOf(path))
	require.NoError(t, os.WriteFile(path, []byte("two"), 0o600))
	require.NotEqual(t, one, StateOf(path))
	require.NoError(t, os.Remove(path))
	require.Equal(t, FileState{}, StateOf(path))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NotEqual(t, FileState{}, StateOf(path), "an empty file is there")
}
