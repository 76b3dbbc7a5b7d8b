//go:build unix

package docs_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/l4fwd/l4fwd/bench/testport"
)

const tutorialDoc = "docs/TUTORIAL.md"

// tutorial runs commands of the tutorial: with programs that are built already, on ports and with a file of its own.
type tutorial struct {
	adapt          *strings.Replacer
	env            []string
	origin, listen string
	authority      string // the file of the stand-in's authority
}

func newTutorial(t *testing.T, programs string) *tutorial {
	t.Helper()
	u := &tutorial{origin: testport.Free(t), listen: testport.Free(t), authority: filepath.Join(t.TempDir(), "ca.pem")}
	u.adapt = strings.NewReplacer("127.0.0.1:9443", u.origin, "127.0.0.1:8443", u.listen, "ca.pem", u.authority, "build/", programs+"/")
	u.env = []string{"SSL_CERT_FILE=" + u.authority, "L4FWD_ADMIN_ADDRESS=" + testport.Free(t), "L4FWD_HEALTH_ADDRESS=off"}
	return u
}

// begin runs a line in the background and waits until it serves.
func (u *tutorial) begin(t *testing.T, line string) {
	t.Helper()
	background(t, "exec "+u.adapt.Replace(line), u.env...)
	if !strings.Contains(line, "build/standin") {
		accepting(t, u.listen)
		return
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // the file is written last
		if b, err := os.ReadFile(u.authority); err == nil && strings.Contains(string(b), "END CERTIFICATE") {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the stand-in does not start")
		}
	}
}

// run runs a line to its end. The exit status of a failure is no error of the test.
func (u *tutorial) run(line string) (out string, code int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", u.adapt.Replace(line))
	cmd.Dir, cmd.Env = root, environment(u.env...)
	b, _ := cmd.CombinedOutput()
	return string(b), cmd.ProcessState.ExitCode()
}

// programs is a directory of TestMain's, and build fills it with what the first line of the tutorial builds.
var (
	programs string
	build    = sync.OnceValue(func() error {
		for name, pkg := range map[string]string{"l4fwd": "./cmd/l4fwd", "standin": "./bench/standin/cmd/standin"} {
			cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(programs, name), pkg)
			cmd.Dir = root
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("build %s: %w\n%s", name, err, out)
			}
		}
		return nil
	})
)

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "l4fwd-docs-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

// buildPrograms builds the programs, once for all tests, and returns their directory.
func buildPrograms(t *testing.T) (dir string) {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return programs
}

var commandsAndOutput = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```")

// The commands of the tutorial are run as they stand, in their order, and print what it shows.
func TestTutorialCommands(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed: apt-get install curl")
	}
	u := newTutorial(t, buildPrograms(t))
	printed, lines, code := "", 0, 0
	for _, block := range commandsAndOutput.FindAllStringSubmatch(read(t, tutorialDoc), -1) {
		for line := range strings.Lines(block[2]) {
			line = strings.TrimSpace(line)
			switch foreground, inBackground := strings.CutSuffix(line, " &"); {
			case block[1] == "text":
				if !strings.Contains(printed, u.adapt.Replace(line)) {
					t.Errorf("%q is not in\n%s", line, printed)
				}
				continue
			case line == "make build && go build -o build/standin ./bench/standin/cmd/standin": // done
			case strings.HasPrefix(line, "export SSL_CERT_FILE="): // in the environment
			case inBackground:
				u.begin(t, foreground)
			default:
				printed, code = u.run(line)
				for end := time.Now().Add(patience); line == "build/l4fwd status" && code != 0 && time.Now().Before(end); { // a person types slowly
					time.Sleep(50 * time.Millisecond)
					printed, code = u.run(line)
				}
			}
			lines++
		}
	}
	if lines < 8 {
		t.Errorf("%d commands", lines)
	}
	u.faults(t)
}

var faultRow = regexp.MustCompile("(?m)^\\| `(-[^`]+)` \\| [^|]+ \\| `([^`]+)`")

// faults starts the stand-in in each state of the table, all at the same time, and has the doctor find out.
func (u *tutorial) faults(t *testing.T) {
	text := read(t, tutorialDoc)
	line := func(prefix string) string {
		at := regexp.MustCompile("(?m)^" + regexp.QuoteMeta(prefix) + ".*$").FindString(text)
		return strings.TrimSuffix(at, " &")
	}
	rows := faultRow.FindAllStringSubmatch(text, -1)
	if len(rows) < 13 {
		t.Fatalf("%d faults", len(rows))
	}
	programs := filepath.Dir(u.adapt.Replace("build/l4fwd"))
	var wg sync.WaitGroup
	for _, row := range rows {
		own := newTutorial(t, programs)
		own.begin(t, line("build/standin ")+" "+row[1])
		own.begin(t, line("build/l4fwd --upstream "))
		wg.Go(func() {
			out, code := own.run(line("build/l4fwd doctor "))
			if want := own.adapt.Replace(row[2]); !strings.HasPrefix(out, want) || (code == 1) != strings.HasPrefix(want, "broken at: ") {
				t.Errorf("stand-in %s: status %d, want %q in\n%s", row[1], code, want, out)
			}
		})
	}
	wg.Wait()
}
