package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// unpacked is what an archive has, by the names without the directory.
func unpacked(t *testing.T, archive []byte) (Manifest, map[string]string) {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	all := map[string]string{}
	var m Manifest
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		require.Equal(t, int64(0o600), h.Mode)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		dir, name := path.Split(h.Name)
		require.Regexp(t, `^l4fwd-bundle-here-\d{8}T\d{6}Z/$`, dir)
		if all[name] = string(text); len(all) == 1 {
			require.Equal(t, "manifest.json", name, "the first file")
			require.NoError(t, json.Unmarshal(text, &m))
		}
	}
	return m, all
}

// made is the archive of a daemon.
func made(t *testing.T, o Options) (Manifest, map[string]string) {
	t.Helper()
	var b bytes.Buffer
	o.Host, o.Version, o.Apart = "here", "v1", time.Millisecond
	m, err := Write(t.Context(), &b, o)
	require.NoError(t, err)
	read, all := unpacked(t, b.Bytes())
	for i := range m.Files {
		m.Files[i].text = nil
	}
	require.Equal(t, m, read)
	return m, all
}

// get is a file's entry.
func (m *Manifest) get(name string) (f File) {
	for _, f := range m.Files {
		if f.Name == name {
			return f
		}
	}
	return f
}

func TestArchiveOfADaemonThatAnswers(t *testing.T) {
	o := Options{
		Ask: func(_ context.Context, path string) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(path + ` "client":"203.0.113.9:1" token=abc` + "\n")), nil
		},
		Parts: []Part{{Name: "own.txt", About: "x", Get: func(_ context.Context, out io.Writer) error { _, err := io.WriteString(out, "own"); return err }}},
	}
	m, all := made(t, o)
	require.Equal(t, "own", all["own.txt"])
	for name, path := range map[string]string{"status.json": "/api/v1/status", "conns.json": "/api/v1/conns", "log.txt": "/api/v1/log", "metrics-2.txt": "/metrics", "goroutines.txt": "/debug/pprof/goroutine?debug=2"} {
		require.Equal(t, path+` "client":"203.0.113.0/24" token=[removed]`+"\n", all[name])
		require.Empty(t, m.get(name).Problem)
		require.Equal(t, len(all[name]), m.get(name).Bytes)
	}
	for name, text := range all {
		require.NotContains(t, text, "cmdline", name)
	}
	require.Positive(t, m.Removed)
	require.True(t, m.Masked)
}

// Without a daemon the archive has the rest, and says once why the daemon's parts are missing.
func TestArchiveWithoutADaemon(t *testing.T) {
	m, all := made(t, Options{AskErr: errors.New("no daemon answers")})
	require.NotContains(t, all, "status.json")
	require.True(t, m.get("status.json").Missing)
	require.Equal(t, "no daemon answers", m.get("heap.pb.gz").Problem)
	require.Contains(t, all["network.txt"], "==> /etc/resolv.conf <==")
	var b strings.Builder
	m.Summary(&b)
	require.Equal(t, 1, strings.Count(b.String(), ": no daemon answers\n"), b.String())
	m, _ = made(t, Options{})
	require.Equal(t, errNobody.Error(), m.get("status.json").Problem)
}

// A daemon that never answers, that sends without end, byte by byte, or stops in the middle: the archive is made, bounded and in
// time, has what came, and says what is not whole.
func TestArchiveOfAHostileDaemon(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/never":
			<-r.Context().Done()
		case "/endless":
			for chunk := bytes.Repeat([]byte("x"), 1<<20); r.Context().Err() == nil; {
				_, _ = w.Write(chunk)
			}
		case "/slow":
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte("y"))
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
			}
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("begun"))
		}
	}))
	defer srv.Close()
	o := Options{Ask: func(ctx context.Context, path string) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+path, nil)
		if err != nil {
			return nil, err
		}
		resp, err := srv.Client().Do(req)
		if err != nil {
			return nil, err
		}
		return resp.Body, nil
	}}
	var parts []Part
	for _, name := range []string{"never", "endless", "slow", "cut"} {
		parts = append(parts, Part{Name: name, Limit: 3 << 20, Time: 300 * time.Millisecond, Get: func(ctx context.Context, out io.Writer) error { return o.ask(ctx, "/"+name, out) }})
	}
	parts[1].Time = time.Minute // it is long before it is slow
	m := Manifest{Files: collect(t.Context(), parts, newRedactor(false))}
	require.True(t, m.get("never").Missing)
	require.Equal(t, "it was not complete within 300ms", m.get("never").Problem)
	require.Equal(t, 3<<20, m.get("endless").Bytes)
	require.True(t, m.get("endless").Truncated)
	require.Equal(t, "it is longer than 3145728 bytes; the rest was left out", m.get("endless").Problem)
	require.Equal(t, "it was not complete within 300ms", m.get("slow").Problem)
	require.False(t, m.get("slow").Missing)
	require.Equal(t, 5, m.get("cut").Bytes)
	require.ErrorContains(t, errors.New(m.get("cut").Problem), "unexpected EOF")
}

// A part that heeds nothing is left behind, and what it writes later is nobody's.
func TestPartThatHeedsNothing(t *testing.T) {
	release, ended := make(chan struct{}), make(chan error, 1)
	p := Part{Name: "stuck", Time: time.Millisecond, Get: func(_ context.Context, out io.Writer) error {
		_, _ = io.WriteString(out, "before")
		<-release
		_, err := io.WriteString(out, "after")
		ended <- err
		return err
	}}
	f := p.file(t.Context())
	require.Equal(t, "before", string(f.text))
	require.Equal(t, "it was not complete within 1ms", f.Problem)
	close(release)
	require.ErrorIs(t, <-ended, errLong)
	require.Equal(t, "before", string(f.text))
}

// Whoever interrupts gets no archive.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Write(ctx, io.Discard, Options{})
	require.ErrorIs(t, err, context.Canceled)
}

// An archive that cannot be written is an error.
func TestNoSpace(t *testing.T) {
	r, w := io.Pipe()
	r.CloseWithError(errors.New("no space left"))
	_, err := Write(t.Context(), w, Options{Apart: time.Millisecond})
	require.ErrorContains(t, err, "no space left")
}
