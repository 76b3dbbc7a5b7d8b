//go:build unix

package docs_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/l4fwd/l4fwd/bench/testport"
)

// patience is for go run to compile on a busy machine.
const patience = 3 * time.Minute

var blocks = regexp.MustCompile("(?ms)^```(sh|yaml|haproxy|console)\n(.*?)^```")

// blocksOf returns the code blocks of a language in a document.
func blocksOf(t *testing.T, doc, language string) []string {
	t.Helper()
	var all []string
	for _, m := range blocks.FindAllStringSubmatch(read(t, doc), -1) {
		if m[1] == language {
			all = append(all, m[2])
		}
	}
	return all
}

// environment is the caller's without settings of l4fwd, and without a cloud.
func environment(more ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "L4FWD_") {
			env = append(env, kv)
		}
	}
	return append(append(env, "AWS_EC2_METADATA_DISABLED=true"), more...)
}

// background runs a line of a document for the length of the test, with its children in a process group of their own.
func background(t *testing.T, line string, env ...string) {
	t.Helper()
	cmd := exec.Command("bash", "-c", line)
	cmd.Dir, cmd.Env = root, environment(append([]string{"L4FWD_HEALTH_ADDRESS=off", "L4FWD_ADMIN_ADDRESS=off", "L4FWD_DRAIN_LAME_DUCK=0s"}, env...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		_ = cmd.Wait() // go run reports the signal
		if t.Failed() {
			t.Logf("%s\n%s", line, out.String())
		}
	})
}

// accepting waits until something listens on address.
func accepting(t *testing.T, address string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// readmeLines are the lines that the README has a stranger run (stand-in, l4fwd, curl, doctor), on free ports.
func readmeLines(t *testing.T) (lines []string, origin, listen string) {
	t.Helper()
	origin, listen = testport.Free(t), testport.Free(t)
	adapt := strings.NewReplacer("127.0.0.1:9443", origin, "127.0.0.1:8443", listen, "ca.pem", filepath.Join(t.TempDir(), "ca.pem"))
	for _, block := range blocksOf(t, "README.md", "sh") {
		if strings.Contains(block, "bench/standin/cmd/standin") {
			lines = strings.Split(strings.TrimSpace(adapt.Replace(block)), "\n")
		}
	}
	if len(lines) != 4 {
		t.Fatalf("README.md has %d lines for the stand-in, want four: %q", len(lines), lines)
	}
	return lines, origin, listen
}

var readmeBreak = regexp.MustCompile("with `(-fault [a-z-]+)` added, and ask the fourth: `([^`…]+)…?`")

// A stranger runs the lines of the README as they stand: a request is forwarded, then the stand-in is broken as the README says, and the
// doctor finds it.
func TestReadmeStandInLines(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed: apt-get install curl")
	}
	said := readmeBreak.FindStringSubmatch(read(t, "README.md"))
	if said == nil {
		t.Fatal("README.md does not say how to break the stand-in")
	}
	good, origin, listen := readmeLines(t)
	background(t, good[0])
	accepting(t, origin)
	background(t, good[1])
	accepting(t, listen)
	broken, origin, listen := readmeLines(t)
	background(t, broken[0]+" "+said[1])
	accepting(t, origin)
	background(t, broken[1])
	accepting(t, listen)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, tc := range []struct{ line, want string }{
		{good[2], `"object":"list"`},
		{strings.Replace(good[2], "-H 'api-key: stand-in-key'", "", 1), `"code":"401"`},
		{good[3], "no fault found"},
		{broken[3], said[2]},
	} {
		cmd := exec.CommandContext(ctx, "bash", "-c", tc.line)
		cmd.Dir, cmd.Env = root, environment()
		out, _ := cmd.CombinedOutput() // the doctor's status is 1 where something is broken
		if !strings.Contains(string(out), tc.want) {
			t.Errorf("%s: want %s in\n%s", tc.line, tc.want, out)
		}
	}
}

// What the documents show as configuration is one: l4fwd check accepts it, once NAME is replaced as they say.
func TestConfigurationsAreAccepted(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(buildPrograms(t), "l4fwd")
	for _, doc := range []string{"README.md", "docs/ROUTING.md", "docs/MIGRATING-FROM-HAPROXY.md"} {
		found := blocksOf(t, doc, "yaml")
		if len(found) == 0 {
			t.Errorf("%s has no configuration", doc)
		}
		for _, text := range found {
			check := exec.Command(binary, "check", "--config", "/dev/stdin")
			check.Stdin, check.Env = strings.NewReader(strings.ReplaceAll(text, "NAME", "my-openai")), environment()
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", doc, err, out)
			}
		}
	}
}

// The haproxy.cfg of the worked example is one: HAProxy itself accepts it.
func TestHAProxyExampleIsAccepted(t *testing.T) {
	haproxy, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("haproxy is not installed: apt-get install haproxy")
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	found := blocksOf(t, "docs/MIGRATING-FROM-HAPROXY.md", "haproxy")
	if len(found) != 1 {
		t.Fatalf("%d configurations, want one", len(found))
	}
	if err := os.WriteFile(file, []byte(found[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(haproxy, "-c", "-f", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
