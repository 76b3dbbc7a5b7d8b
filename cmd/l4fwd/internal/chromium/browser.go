// Package chromium drives a headless Chromium by its DevTools protocol. Only tests import it.
package chromium

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a command, or a condition of a page, may take. The machine may be busy.
const patience = 30 * time.Second

// Browser is a running Chromium with a profile of its own.
type Browser struct {
	cmd  *exec.Cmd
	in   *os.File // commands, each ends with a zero byte
	done chan struct{}

	mu      sync.Mutex
	last    int
	waiting map[int]chan answer
	pages   map[string]*Page // by session
}

// answer is a message of the browser: the answer to a command, or an event.
type answer struct {
	ID      int             `json:"id"`
	Session string          `json:"sessionId"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
	Result  json.RawMessage `json:"result"`
	Error   *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// names are those of the program on several systems.
var names = []string{"chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"}

// Start runs a browser until the test ends. A machine without one skips the test.
func Start(t *testing.T) *Browser {
	t.Helper()
	program := os.Getenv("L4FWD_TEST_CHROMIUM")
	for _, name := range names {
		if found, err := exec.LookPath(name); program == "" && err == nil {
			program = found
		}
	}
	if program == "" {
		t.Skip("SKIPPED: no Chromium on this machine (chromium, chromium-browser, google-chrome or L4FWD_TEST_CHROMIUM): the status page is not opened")
	}
	b, out, err := launch(program, t.TempDir())
	if err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	t.Cleanup(b.stop)
	go b.read(out)
	var version struct{ Product string }
	if err := b.call("", "Browser.getVersion", nil, &version); err != nil {
		t.Fatalf("%s does not answer: %v", program, err)
	}
	return b
}

// launch starts the program with two pipes: commands on descriptor 3, answers on 4.
func launch(program, dir string) (*Browser, *os.File, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(program, "--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-breakpad",
		"--disable-sync", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding", "--disable-background-timer-throttling",
		"--no-proxy-server", "--hide-scrollbars", "--user-data-dir="+dir+"/profile", "about:blank")
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that its children end with it
	err = cmd.Start()
	theirIn.Close()
	theirOut.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, nil, err
	}
	return &Browser{cmd: cmd, in: in, done: make(chan struct{}), waiting: map[int]chan answer{}, pages: map[string]*Page{}}, out, nil
}

// stop ends the browser with its children.
func (b *Browser) stop() {
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
	_ = b.cmd.Wait()
	b.in.Close()
	<-b.done
}

// read passes messages on until the browser ends.
func (b *Browser) read(out *os.File) {
	defer close(b.done)
	defer out.Close()
	in := bufio.NewReaderSize(out, 1<<20)
	for {
		line, err := in.ReadBytes(0)
		if err != nil {
			b.gone()
			return
		}
		var a answer
		if json.Unmarshal(line[:len(line)-1], &a) == nil {
			b.take(a)
		}
	}
}

// take gives an answer to the one who waits for it, an event to its page.
func (b *Browser) take(a answer) {
	b.mu.Lock()
	page, wait := b.pages[a.Session], b.waiting[a.ID]
	delete(b.waiting, a.ID)
	b.mu.Unlock()
	switch {
	case wait != nil:
		wait <- a
	case page != nil && a.Method != "":
		page.event(a)
	}
}

// gone ends the commands that wait for an answer.
func (b *Browser) gone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wait := range b.waiting {
		close(wait)
	}
	b.waiting = nil
}

// send sends a command, and returns where its answer will be.
func (b *Browser) send(session, method string, params any) (chan answer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		return nil, io.ErrClosedPipe
	}
	b.last++
	line, err := json.Marshal(struct {
		ID      int    `json:"id"`
		Session string `json:"sessionId,omitempty"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{b.last, session, method, params})
	if err != nil {
		return nil, err
	}
	wait := make(chan answer, 1)
	b.waiting[b.last] = wait
	_, err = b.in.Write(append(line, 0))
	return wait, err
}

// call sends a command and decodes its answer into result, which may be nil.
func (b *Browser) call(session, method string, params, result any) error {
	wait, err := b.send(session, method, params)
	if err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case a, ok := <-wait:
		switch {
		case !ok:
			return fmt.Errorf("%s: the browser has ended", method)
		case a.Error != nil:
			return fmt.Errorf("%s: %w", method, errors.New(a.Error.Message))
		case result == nil:
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-time.After(patience):
		return fmt.Errorf("%s: no answer within %s", method, patience)
	}
}
