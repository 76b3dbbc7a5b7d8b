package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// screen is what the demo prints to, readable while it does.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// play runs the demo with the test binary as an l4fwd that behaves so, in a temporary directory that must be
// empty afterwards.
func play(t *testing.T, ctx context.Context, behaviour string, once bool, out *screen) error {
	t.Helper()
	t.Setenv(fakeEnv, behaviour)
	t.Setenv("L4FWD_STRAY", "a setting of the caller's")
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	err := run(ctx, &paint{w: out}, options{binary: os.Args[0], once: once, pace: 2 * time.Millisecond, patience: 2 * time.Second})
	if left, _ := filepath.Glob(filepath.Join(tmp, "l4fwd-demo-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	return err
}

func TestOnce(t *testing.T) {
	var out screen
	if err := play(t, t.Context(), "well", true, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, want := range []string{
		`l4fwd ready on 127\.0\.0\.1:\d+ → 127\.0\.0\.1:\d+`,
		`subject +CN=\*\.openai\.azure\.com`,
		`issuer +CN=l4fwd stand-in CA`,
		`│ Hello from the stand-in for Azure OpenAI\.`,
		`stream +\d+ tokens`,
		`reason +upstream_closed`,
		`bytes_down +\d{4,}`,
		`l4fwd_connections_total\{.*\}  – → 1`,
		`l4fwd_connect_seconds_sum  – → 0\.00042`,
		`drained and exited with status 0`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %q in the output", want)
		}
	}
	for _, surplus := range []string{"_bucket", "go_goroutines", "l4fwd_eip_held", "vpce", "\x1b"} {
		if strings.Contains(out.String(), surplus) {
			t.Errorf("%q in the output", surplus)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// Every failure is reported in one line, with l4fwd's log above it if that may help.
func TestFailures(t *testing.T) {
	for behaviour, want := range map[string]string{
		"dies":             "l4fwd exited before it was ready: exit status 1",
		"drops":            "chat through l4fwd",
		"logs nothing":     "no access line for the connection",
		"loses bytes":      "the access log counts 7 bytes down",
		"counts nothing":   "l4fwd_connections_total did not move",
		"fails at the end": "l4fwd after SIGTERM: exit status 1",
	} {
		t.Run(behaviour, func(t *testing.T) {
			var out screen
			err := play(t, t.Context(), behaviour, true, &out)
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want %q\n%s", err, want, out.String())
			}
			if behaviour == "dies" && !strings.Contains(out.String(), "address already in use") {
				t.Errorf("l4fwd's log is missing:\n%s", out.String())
			}
		})
	}
	t.Run("no such binary", func(t *testing.T) {
		err := run(t.Context(), &paint{w: &screen{}}, options{binary: "/no/such/l4fwd", once: true})
		if err == nil || !strings.Contains(err.Error(), "start l4fwd: ") {
			t.Errorf("error %v", err)
		}
	})
}

// The commands that the demo invites to paste must work as printed, and their connections show up.
func TestPastedCommands(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out screen
	answers := make(chan [2]string, 1)
	go func() {
		defer cancel()
		if !await(&out, "# 401: ") { // a bare 401 may be part of a port or of a process id
			return
		}
		commands := regexp.MustCompile(`(?m)^curl (?:.*\\\n)+.*$`).FindAllString(out.String(), -1)
		if len(commands) != 2 {
			return
		}
		var got [2]string
		for i, c := range commands {
			b, _ := exec.Command("sh", "-c", c).Output() // curl shows its progress on stderr
			got[i] = string(b)
		}
		answers <- got
		await(&out, "↓")
	}()
	if err := play(t, ctx, "well", false, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	select {
	case got := <-answers:
		if !strings.HasSuffix(strings.TrimSpace(got[0]), "data: [DONE]") {
			t.Errorf("the stream ends in %q", got[0][max(0, len(got[0])-200):])
		}
		if !strings.Contains(got[1], " 401") || !strings.Contains(got[1], "invalid subscription key") {
			t.Errorf("the 401:\n%s", got[1])
		}
	default:
		t.Error("no commands to paste")
	}
	if !strings.Contains(out.String(), "connection 127.0.0.1:") {
		t.Errorf("the pasted commands' connections are not shown:\n%s", out.String())
	}
}

// await waits for text on the screen.
func await(out *screen, text string) bool {
	for range 1000 {
		if strings.Contains(out.String(), text) {
			time.Sleep(50 * time.Millisecond) // the rest of the paragraph
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestInterruptedIsNoFailureOfTheStack(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var out screen
	go func() { await(&out, "│"); cancel() }()
	if err := play(t, ctx, "well", false, &out); err != errInterrupted {
		t.Errorf("error %v", err)
	}
}

// make printed an error after Ctrl-C.
func TestCtrlCIsNoErrorToMake(t *testing.T) {
	for _, c := range []struct {
		err  error
		once bool
		want int
	}{{nil, false, 0}, {errInterrupted, false, 0}, {errInterrupted, true, 1}, {errors.New("broken"), false, 1}} {
		if got := exitStatus(c.err, c.once); got != c.want {
			t.Errorf("%v, once %v: status %d, want %d", c.err, c.once, got, c.want)
		}
	}
}

func TestParseAccess(t *testing.T) {
	for line, want := range map[string]bool{
		`{"client":"127.0.0.1:5","reason":"client_closed","bytes_up":1,"bytes_down":12345678901}`: true,
		`{"level":"info","msg":"listening","client":"x"}`:                                         false,
		`not JSON`:   false,
		`{"client":`: false,
	} {
		if a, ok := parseAccess(line); ok != want {
			t.Errorf("%s: %v", line, ok)
		} else if ok && a.text("bytes_down") != "12345678901" {
			t.Errorf("bytes_down %s", a.text("bytes_down"))
		}
	}
}

func TestDiff(t *testing.T) {
	before := parseMetrics("# HELP l4fwd_a x\nl4fwd_a{l=\"x y\"} 1\nl4fwd_same 2\ngo_x 1\n")
	after := parseMetrics("l4fwd_a{l=\"x y\"} 3\nl4fwd_same 2\nl4fwd_new 0\nl4fwd_b{x=\"1\"} 1.5e+01\nl4fwd_h_bucket{le=\"1\"} 9\ngo_x 2\n")
	got := diff(before, after)
	if len(got) != 2 || got[0] != (move{`l4fwd_a{l="x y"}`, 1, 3, false}) || got[1] != (move{`l4fwd_b{x="1"}`, 0, 15, true}) {
		t.Errorf("moves %+v", got)
	}
	if after.sum("l4fwd_b") != 15 {
		t.Errorf("sum %v", after.sum("l4fwd_b"))
	}
}
