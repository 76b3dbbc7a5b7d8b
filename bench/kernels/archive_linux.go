package main

import (
	"archive/tar"
	"compress/gzip"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
)

// processors are the values of an ELF file's machine by Go's name of the processor.
var processors = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// shipped gives the guest the daemon of a release archive instead of one that is compiled here. An archive for another processor than the
// guest's is an error.
func (b *build) shipped(name, archive string) error {
	to := filepath.Join(b.dir, name)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := extract(archive, "l4fwd", to); err != nil {
		return fmt.Errorf("take the daemon out of %s: %w", archive, err)
	}
	f, err := elf.Open(to)
	if err != nil {
		return fmt.Errorf("read the daemon of %s: %w", archive, err)
	}
	defer f.Close()
	if f.Machine != processors[b.arch] {
		return fmt.Errorf("%s is for %v, the guest has %v", archive, f.Machine, processors[b.arch])
	}
	b.files[name] = to
	return nil
}

// extract writes the file of that name in the archive's only folder to the path to.
func extract(archive, name, to string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	t := tar.NewReader(z)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("no %s in it", name)
		}
		if err != nil {
			return err
		}
		if h.Typeflag == tar.TypeReg && path.Base(h.Name) == name {
			return write(to, t)
		}
	}
}

// write makes an executable file of what r has.
func write(to string, r io.Reader) error {
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	return errors.Join(err, out.Close())
}
