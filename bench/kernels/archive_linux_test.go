package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// released is a release archive with one file in its folder.
func released(t *testing.T, name string, content []byte) string {
	var text bytes.Buffer
	z := gzip.NewWriter(&text)
	w := tar.NewWriter(z)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "l4fwd-v1-linux-x/", Typeflag: tar.TypeDir, Mode: 0o755}))
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "l4fwd-v1-linux-x/" + name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(content))}))
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	file := filepath.Join(t.TempDir(), "l4fwd.tar.gz")
	require.NoError(t, os.WriteFile(file, text.Bytes(), 0o644))
	return file
}

func TestTheShippedDaemonIsTheArchives(t *testing.T) {
	program, err := os.Executable() // an ELF file of this processor
	require.NoError(t, err)
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	good := released(t, "l4fwd", content)

	b := newBuild(t.TempDir(), runtime.GOARCH)
	require.NoError(t, b.shipped("/bin/l4fwd", good))
	got, err := os.ReadFile(b.files["/bin/l4fwd"])
	require.NoError(t, err)
	assert.True(t, bytes.Equal(content, got), "another file than the archive's")

	other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	assert.ErrorContains(t, newBuild(t.TempDir(), other).shipped("/bin/l4fwd", good), "the guest has")
	assert.ErrorContains(t, b.shipped("/bin/l4fwd", released(t, "README.md", nil)), "no l4fwd in it")
	assert.ErrorContains(t, b.shipped("/bin/l4fwd", released(t, "l4fwd", []byte("#!/bin/sh\n"))), "read the daemon")
}
