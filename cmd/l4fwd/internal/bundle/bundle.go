// Package bundle puts what a support case needs into one archive: what the daemon says of itself, what the machine says of
// the daemon, and a manifest that also lists what could not be had. It ends in a minute, whatever does not answer, it is
// bounded in size, and it removes what looks like a credential.
package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// wholeTime is how long everything may take together. Each part has its own limit, most of them a shorter one.
const wholeTime = 40 * time.Second

// Options say what goes into an archive. The zero value makes one of the machine alone.
type Options struct {
	Version string        // of this binary
	Host    string        // the name of this machine
	Full    bool          // client addresses are not masked
	Apart   time.Duration // between the two scrapes of the metrics; 0: 5 s

	// Ask sends a GET to the daemon's admin port; the caller closes the body. nil: there is nobody to ask, and AskErr says why.
	Ask    func(ctx context.Context, path string) (io.ReadCloser, error)
	AskErr error
	// PID is the process of the daemon; 0 if it is not known.
	PID func(ctx context.Context) int
	// Parts are those that the caller makes.
	Parts []Part
}

// Manifest describes an archive. It is the first file in it.
type Manifest struct {
	Format  int       `json:"format"` // 1; fields may be added
	Made    time.Time `json:"made"`
	By      string    `json:"by"`
	Host    string    `json:"host"`
	Took    float64   `json:"took_seconds"`
	Masked  bool      `json:"client_addresses_masked"`
	Removed int       `json:"credentials_removed"` // places where something that looks like one stood
	Files   []File    `json:"files"`
}

// File is one file of an archive, or one that is missing.
type File struct {
	Name      string  `json:"name"`
	About     string  `json:"about"`
	Bytes     int     `json:"bytes"`
	Took      float64 `json:"took_seconds"`
	Truncated bool    `json:"truncated,omitempty"` // it was longer than its limit
	Problem   string  `json:"problem,omitempty"`   // why it is missing, or is not whole
	Missing   bool    `json:"missing,omitempty"`

	text []byte
}

// Write collects all parts at the same time and writes the archive, a gzipped tar. An error says why it could not be written;
// that a part is missing is no error: see the manifest.
func Write(ctx context.Context, out io.Writer, o Options) (Manifest, error) {
	begun := time.Now()
	r := newRedactor(o.Full)
	files := collect(ctx, append(append(o.daemon(), o.machine(r)...), o.Parts...), r)
	if err := ctx.Err(); err != nil {
		return Manifest{}, err
	}
	m := Manifest{
		Format: 1, Made: begun.UTC().Truncate(time.Second), By: "l4fwd " + o.Version, Host: o.Host,
		Took: seconds(begun), Masked: !o.Full, Removed: r.count(), Files: files,
	}
	return m, m.write(out)
}

// collect runs the parts beside each other. The files are in the order of the parts.
func collect(ctx context.Context, parts []Part, r *redactor) []File {
	ctx, cancel := context.WithTimeout(ctx, wholeTime)
	defer cancel()
	files := make([]File, len(parts))
	var wg sync.WaitGroup
	for i, p := range parts {
		wg.Go(func() { files[i] = p.file(ctx) })
	}
	wg.Wait()
	for i, p := range parts {
		if !p.Binary { // once all are there: some teach r what a credential is
			files[i].text = r.clean(files[i].text)
			files[i].Problem = string(r.clean([]byte(files[i].Problem)))
		}
		files[i].Bytes = len(files[i].text)
	}
	return files
}

// Name is the directory in the archive, and the beginning of a fitting file name.
func (m *Manifest) Name() string { return Name(m.Host, m.Made) }

// Name is the name of an archive that is made now on that host, without an extension.
func Name(host string, now time.Time) string {
	return "l4fwd-bundle-" + host + "-" + now.UTC().Format("20060102T150405Z")
}

// write writes the archive: the manifest, then the files.
func (m *Manifest) write(out io.Writer) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	zipped := gzip.NewWriter(out)
	archive := tar.NewWriter(zipped)
	for _, f := range append([]File{{Name: "manifest.json", text: append(text, '\n')}}, m.Files...) {
		if f.Missing {
			continue
		}
		header := &tar.Header{Name: m.Name() + "/" + f.Name, Mode: 0o600, Size: int64(len(f.text)), ModTime: m.Made, Format: tar.FormatPAX}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := io.Copy(archive, bytes.NewReader(f.text)); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

// Summary is what a person reads of an archive: what is missing or not whole, each reason once.
func (m *Manifest) Summary(out io.Writer) {
	var reasons []string
	by := map[string][]string{}
	for _, f := range m.Files {
		if f.Problem == "" {
			continue
		}
		if by[f.Problem] == nil {
			reasons = append(reasons, f.Problem)
		}
		by[f.Problem] = append(by[f.Problem], f.Name)
	}
	for _, why := range reasons {
		fmt.Fprintf(out, "not in it, or not whole: %s: %s\n", strings.Join(by[why], ", "), why)
	}
}
