package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// archive writes an initramfs: a cpio archive of the "newc" kind, as the kernel's Documentation/driver-api/early-userspace/buffer-format.rst
// has it. The first error is kept, and close returns it.
type archive struct {
	w    *bufio.Writer
	n    int64
	dirs map[string]bool
	ino  int
	err  error
}

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), dirs: map[string]bool{}}
}

// File modes of the archive, stat(2).
const (
	modeDir  = 0o040755
	modeFile = 0o100755
	modeChar = 0o020600
)

// entry writes the head of a file, its name, and size bytes of contents.
func (a *archive) entry(name string, mode, major, minor int, size int64, contents io.Reader) {
	name = strings.TrimPrefix(name, "/")
	if name != trailer {
		a.parents(name)
	}
	a.ino++
	a.print("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.ino, mode, 0, 0, 1, 0, size, 0, 0, major, minor, len(name)+1, 0, name)
	a.pad()
	if size > 0 && a.err == nil {
		var n int64
		n, a.err = io.CopyN(a.w, contents, size)
		a.n += n
	}
	a.pad()
}

func (a *archive) print(format string, args ...any) {
	if a.err != nil {
		return
	}
	var n int
	n, a.err = fmt.Fprintf(a.w, format, args...)
	a.n += int64(n)
}

func (a *archive) pad() {
	if rest := a.n % 4; rest > 0 {
		a.print("%s", "\x00\x00\x00"[:4-rest])
	}
}

// parents writes the directories above a name that are not there yet: the kernel makes none by itself.
func (a *archive) parents(name string) {
	dir := path.Dir(name)
	if dir == "." || a.dirs[dir] {
		return
	}
	a.dirs[dir] = true
	a.entry(dir, modeDir, 0, 0, 0, nil)
}

func (a *archive) device(name string, major, minor int) {
	a.entry(name, modeChar, major, minor, 0, nil)
}

func (a *archive) bytes(name, contents string) {
	a.entry(name, modeFile, 0, 0, int64(len(contents)), strings.NewReader(contents))
}

// file takes a file of the host.
func (a *archive) file(name, from string) {
	if a.err != nil {
		return
	}
	f, err := os.Open(from)
	if err != nil {
		a.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		a.err = err
		return
	}
	a.entry(name, modeFile, 0, 0, info.Size(), f)
}

const trailer = "TRAILER!!!"

func (a *archive) close() error {
	a.entry(trailer, 0, 0, 0, 0, nil)
	if a.err == nil {
		a.err = a.w.Flush()
	}
	return a.err
}
