package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/bundle"
)

// unpacked are the files of an archive by their names without the directory, and its manifest.
func unpacked(t *testing.T, archive []byte) (bundle.Manifest, map[string]string) {
	t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	all := map[string]string{}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		all[path.Base(h.Name)] = string(text)
	}
	var m bundle.Manifest
	require.NoError(t, json.Unmarshal([]byte(all["manifest.json"]), &m))
	return m, all
}

// bundled is the archive of a command line that has -o and a file of the test's own.
func bundled(t *testing.T, env []string, args ...string) (bundle.Manifest, map[string]string, outcome) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	o := l4fwd(t, env, append([]string{"bundle", "-o", file}, args...)...)
	require.Equal(t, exitOK, o.code, o.stderr)
	require.Equal(t, file+"\n", o.stdout)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	m, all := unpacked(t, text)
	return m, all, o
}

// whyMissing is why each file that is missing is not there.
func whyMissing(m *bundle.Manifest) map[string]string {
	all := map[string]string{}
	for _, f := range m.Files {
		if f.Missing {
			all[f.Name] = f.Problem
		}
	}
	return all
}

// A file with tokens in every place where one can be, and a daemon whose environment has some: none is in the archive, which has
// everything else.
func TestBundleOfADaemonHasNoCredential(t *testing.T) {
	const inFile, inEnv, inURL = "s3cr3t-of-the-file", "s3cr3t-of-the-environment", "s3cr3t-of-the-proxy"
	env := []string{"AZURE_OPENAI_API_KEY=" + inEnv, "HTTPS_PROXY=http://me:" + inURL + "@127.0.0.1:1"}
	text := "# token: " + inFile + "\nupstreams:\n- {name: up, address: \"" + echo(t) + "\", check: {type: tcp, path: \"/openai/models?api-key=" + inFile + "\"}}\n" +
		"listeners:\n- {name: in, address: \"" + freePort(t) + "\"}\nlog: {access: all}\n"
	c := startedWithFile(t, text, env)
	c.listen = strings.Split(strings.Split(text, "name: in, address: \"")[1], "\"")[0]
	ended := c.dial(t)
	exchange(t, ended)
	require.NoError(t, ended.Close())
	c.eventually(t, func() bool { return strings.Contains(c.log.String(), `"msg":"access"`) })
	live := c.dial(t)
	exchange(t, live)
	m, all, o := bundled(t, []string{"AWS_SECRET_ACCESS_KEY=" + inEnv}, "--config", c.file, "--admin", c.admin)
	for name, text := range all {
		for _, secret := range []string{inFile, inEnv, inURL} {
			require.NotContains(t, text, secret, name)
		}
	}
	require.NotContains(t, all["conns.json"]+all["log.txt"], `"client":"127.0.0.1:`)
	require.Contains(t, all["conns.json"], `"client":"127.0.0.0/24"`)
	require.Contains(t, all["log.txt"], `"msg":"started"`)
	require.Contains(t, all["log.txt"], `"client":"127.0.0.0/24"`)
	require.Contains(t, all["config.yaml"], "api-key=[removed]")
	require.Contains(t, all["config-running.yaml"], "api-key=[removed]")
	require.Contains(t, all["metrics-1.txt"], "l4fwd_build_info")
	require.Contains(t, all["metrics-2.txt"], "l4fwd_build_info")
	require.Contains(t, all["goroutines.txt"], "goroutine 1 [")
	require.Contains(t, all["doctor.json"], `"steps"`)
	require.Contains(t, all["version.txt"], "github.com/spf13/cobra")
	require.True(t, json.Valid([]byte(all["status.json"])) && json.Valid([]byte(all["conns.json"])) && json.Valid([]byte(all["doctor.json"])))
	if runtime.GOOS == "linux" {
		require.Contains(t, all["process.txt"], "Max open files")
		require.Contains(t, all["sysctls.txt"], "net/core/somaxconn")
	}
	missing := whyMissing(&m)
	for _, name := range []string{"unit.txt", "journal.txt", "cgroup.txt"} { // of machines that have them
		delete(missing, name)
	}
	require.Empty(t, missing, o.stderr)
	_, all, _ = bundled(t, nil, "--admin", c.admin, "--full")
	require.Contains(t, all["conns.json"], `"client":"127.0.0.1:`)
	require.Contains(t, all["doctor.json"], `"steps"`, "of the daemon's configuration")
}

// Without a daemon the archive has what the machine says, and names what is missing.
func TestBundleWithoutADaemon(t *testing.T) {
	none := freePort(t)
	m, all, o := bundled(t, nil, "--admin", none)
	require.Contains(t, whyMissing(&m)["conns.json"], "no daemon answers on "+none+": connection refused")
	require.Contains(t, o.stderr, "not in it, or not whole: status.json, config-running.yaml, conns.json, ")
	require.Contains(t, all["network.txt"], "==>")
	require.Contains(t, all["config.yaml"], "no upstream", "the faults")
	// To a pipe, with a broken file.
	o = l4fwd(t, nil, "bundle", "-o", "-", "--config", write(t, "listeners: [\n"), "--admin", none)
	require.Equal(t, exitOK, o.code, o.stderr)
	m, _ = unpacked(t, []byte(o.stdout))
	require.Contains(t, whyMissing(&m)["status.json"], "no daemon answers on "+none)
	m, _, _ = bundled(t, nil, "--config", write(t, "admin: {address: off}\n"))
	require.Contains(t, whyMissing(&m)["status.json"], "name it with --admin")
	// What was given is not asked for again.
	for _, given := range []string{"nonsense", "off"} {
		m, _, _ = bundled(t, nil, "--config", filepath.Join(t.TempDir(), "none"), "--admin", given)
		require.Equal(t, "--admin \""+given+"\" is no address to ask: write IP:PORT or unix:PATH", whyMissing(&m)["status.json"])
	}
}

// A file that was edited and not loaded may be faulty, or not YAML at all, while the daemon serves an older one: doctor and bundle test
// that one, and say so. A faulty flag is refused as ever.
func TestAFaultyFileIsNoEndOfADiagnosis(t *testing.T) {
	upstream := echo(t)
	c := startedWithFile(t, "upstreams: [{name: up, address: \""+upstream+"\"}]\nlisteners: [{name: in, address: \""+freePort(t)+"\"}]\n", nil)
	for _, faulty := range []string{"upstreams: [{name: up, address: nonsense}]\n", "upstreams: [\n"} {
		c.writes(t, faulty)
		o := l4fwd(t, nil, "doctor", "--config", c.file, "--admin", c.admin, "--egress-url", "off")
		require.Contains(t, o.stderr, c.file+":")
		require.Contains(t, o.stderr, "l4fwd: the configuration has faults; this report is about that of the daemon that runs on "+c.admin+"\n")
		require.Contains(t, o.stdout, upstream)
		require.Regexp(t, `(?m)^ok +daemon .*is ready`, o.stdout)
		m, all, _ := bundled(t, nil, "--config", c.file, "--admin", c.admin)
		require.NotContains(t, whyMissing(&m), "doctor.json")
		require.Contains(t, all["doctor.json"], `"configuration": "that of the running daemon, since the one of this command has faults"`)
		require.Contains(t, all["doctor.json"], upstream)
		o = l4fwd(t, nil, "doctor", "--config", c.file, "--admin", c.admin, "--loops", "-1")
		require.Equal(t, exitUsage, o.code)
		require.Empty(t, o.stdout)
	}
	o := l4fwd(t, nil, "status", "--config", c.file+".none", "--admin", c.admin)
	require.Equal(t, exitOK, o.code, o.stderr)
	o = l4fwd(t, nil, "doctor", "--config", c.file, "--admin", freePort(t))
	require.Equal(t, exitUsage, o.code)
	require.Empty(t, o.stdout)
}

// What is there stays as it is, also if a link leads to it.
func TestBundleOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "there"), filepath.Join(dir, "link")
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o644))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nowhere"), link))
	for _, at := range []string{file, link} {
		o := l4fwd(t, nil, "bundle", "--output", at)
		require.Equal(t, exitFailure, o.code)
		require.Equal(t, "l4fwd: bundle: "+at+" exists and is not overwritten; name another file with -o\n", o.stderr)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
	o := l4fwd(t, nil, "bundle", "-o", filepath.Join(dir, "no", "such"))
	require.Equal(t, exitFailure, o.code)
	require.Contains(t, o.stderr, "name a file in another directory with -o")
}

// A daemon that sends gigabytes, or nonsense, makes the archive no larger than its limits.
func TestBundleOfADaemonThatSendsWithoutEnd(t *testing.T) {
	srv := httptest.NewServer(admin.Named(admin.AdminPort, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/log" {
			http.NotFound(w, r)
			return
		}
		for chunk := bytes.Repeat([]byte("0123456789abcde\n"), 1<<14); r.Context().Err() == nil; {
			_, _ = w.Write(chunk)
		}
	})))
	defer srv.Close()
	m, all, o := bundled(t, nil, "--admin", srv.Listener.Addr().String())
	require.Len(t, all["log.txt"], 4<<20)
	require.Contains(t, o.stderr, "it is longer than 4194304 bytes; the rest was left out")
	require.NotContains(t, whyMissing(&m), "log.txt")
}
