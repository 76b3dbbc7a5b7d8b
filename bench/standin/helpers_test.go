package standin

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const hello = `{"messages":[{"role":"user","content":"Hello"}]}`
const helloStream = `{"messages":[{"role":"user","content":"Hello"}],"stream":true}`

// start runs a stand-in without pauses, unless opts says otherwise, for the length of a test.
func start(t *testing.T, opts Options) *Server {
	t.Helper()
	if opts.Pace == 0 {
		opts.Pace = -1
	}
	s, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client verifies the stand-in's certificate for Name and dials to, whatever the URL says.
func client(t *testing.T, s *Server, to string, h2 bool) *http.Client {
	t.Helper()
	tr := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", to)
		},
		TLSClientConfig:   &tls.Config{RootCAs: s.RootCAs(), ServerName: Name},
		ForceAttemptHTTP2: h2,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// chatURL asks a deployment for a chat completion.
func chatURL(deployment string) string {
	return "https://" + Name + "/openai/deployments/" + deployment + "/chat/completions?api-version=2024-10-21"
}

// post sends body with the default key. The caller closes the answer.
func post(t *testing.T, c *http.Client, url, body string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("api-key", DefaultKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// readAll is the whole body as text.
func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// readEvents reads a stream to its end and returns the payload of each event, with [DONE] last.
func readEvents(t *testing.T, r io.Reader) []string {
	t.Helper()
	var events []string
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		payload, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok {
			t.Fatalf("line %q is no event", sc.Text())
		}
		if !sc.Scan() || sc.Text() != "" {
			t.Fatalf("event %q is followed by %q, not by an empty line", payload, sc.Text())
		}
		events = append(events, payload)
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

// decode reads JSON that must hold nothing but v's fields.
func decode[T any](t *testing.T, s string) T {
	t.Helper()
	var v T
	d := json.NewDecoder(strings.NewReader(s))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return v
}

// eventually waits for what the server does behind the client's back.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// relay forwards TCP to a target without looking at it, as l4fwd does.
type relay struct {
	ln net.Listener
	wg sync.WaitGroup
}

// startRelay runs one for the length of a test.
func startRelay(t *testing.T, target string) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{ln: ln}
	r.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { forward(c, target) })
		}
	})
	t.Cleanup(func() { ln.Close(); r.wg.Wait() })
	return r
}

// forward copies both ways until both halves ended. It owns down.
func forward(down net.Conn, target string) {
	defer down.Close()
	up, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer up.Close()
	var wg sync.WaitGroup
	for _, half := range [][2]net.Conn{{up, down}, {down, up}} {
		wg.Go(func() {
			_, _ = io.Copy(half[0], half[1])
			_ = half[0].(*net.TCPConn).CloseWrite()
		})
	}
	wg.Wait()
}
