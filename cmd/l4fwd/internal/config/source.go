package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// maxFile bounds a configuration file, in bytes: far above any real one, and low enough that a wrong path costs nothing.
const maxFile = 1 << 20

// pipeWait is how long the writer of a pipe may take, from its opening to the end of what it writes.
const pipeWait = 2 * time.Second

// FileState is what a file held. It goes by the contents, since a new time or inode alone is no change.
type FileState struct {
	There bool // it could be read
	Sum   [sha256.Size]byte
}

// StateOf is the state of the file at path.
func StateOf(path string) FileState {
	text, err := readBounded(path)
	if err != nil {
		return FileState{}
	}
	return stateOf(text)
}

// stateOf is the state of a file that holds text.
func stateOf(text []byte) FileState { return FileState{There: true, Sum: sha256.Sum256(text)} }

// NamesFile reports whether a text is probably meant as the name of a configuration file.
func NamesFile(text string) bool {
	if strings.HasSuffix(text, ".yaml") || strings.HasSuffix(text, ".yml") {
		return true
	}
	info, err := os.Stat(text)
	return err == nil && !info.IsDir()
}

// readBounded reads a file, or what another process writes into a pipe. Devices are refused, but for /dev/null, which is
// empty.
func readBounded(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(err)
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeNamedPipe != 0:
		return readPipe(path)
	case mode&fs.ModeSocket != 0:
		return nil, fault("is a socket", "name a file")
	case mode&fs.ModeDevice != 0 && path != os.DevNull:
		return nil, fault("is a device", "name a file")
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, unreadable(err)
	}
	defer r.Close()
	return readAll(r)
}

// readAll reads at most maxFile.
func readAll(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, unreadable(err)
	case len(text) > maxFile:
		return nil, errors.New("is larger than 1 MiB, so it is no configuration")
	}
	return text, nil
}

// readPipe reads what a process writes into a pipe until it closes its end. The pipe is opened without waiting for a
// writer; while there is none, it reads as empty, so it is read again for pipeWait.
func readPipe(path string) ([]byte, error) {
	r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, unreadable(err)
	}
	defer r.Close()
	until := time.Now().Add(pipeWait)
	if err := r.SetReadDeadline(until); err != nil {
		return nil, unreadable(err)
	}
	for time.Now().Before(until) {
		text, err := readAll(r)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil || len(text) > 0 {
			return text, err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, fault("is a pipe, and nobody wrote to it and closed it within %s", "name a file", pipeWait)
}

// unreadable is an error of the system without the path, which the report names already.
func unreadable(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("cannot be read: %w", err)
}

// notUTF8 finds bytes that are not UTF-8. Text in UTF-16 begins with a mark, which the YAML library knows.
func notUTF8(text []byte) (line int, err error) {
	if utf8.Valid(text) || bytes.HasPrefix(text, []byte{0xff, 0xfe}) || bytes.HasPrefix(text, []byte{0xfe, 0xff}) {
		return 0, nil
	}
	line = 1
	for lineText := range bytes.Lines(text) {
		if !utf8.Valid(lineText) {
			break
		}
		line++
	}
	return line, fault("is not UTF-8", "save the file as UTF-8")
}
