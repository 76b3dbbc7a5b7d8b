package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
)

// ErrNoDaemon says that nothing answered as l4fwd would.
var ErrNoDaemon = errors.New("no daemon answers")

const (
	dialTimeout   = 3 * time.Second
	answerTimeout = 10 * time.Second
	largestAnswer = 64 << 20
)

// Client speaks to a running daemon over its admin port.
type Client struct {
	verb string // which wants to know, for its errors
	name string // of the port, as an operator writes it
	host string // the header Host
	http *http.Client
}

// NewClient returns a client for a verb. network and address are as net.Dial takes them: tcp, or unix with a path.
func NewClient(verb, network, address string) *Client {
	c := &Client{verb: verb, name: address, host: address}
	if network == "unix" {
		c.name, c.host = "unix:"+address, "localhost"
	}
	log.SetOutput(io.Discard) // net/http prints there what a server that speaks first has sent
	c.http = &http.Client{
		Timeout: answerTimeout,
		// A foreign server's redirect leads to no daemon.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				d := net.Dialer{Timeout: dialTimeout}
				return d.DialContext(ctx, network, address)
			},
		},
	}
	return c
}

// Within bounds the time of each call, in place of 10 s. It returns the client itself.
func (c *Client) Within(limit time.Duration) *Client {
	c.http.Timeout = limit
	return c
}

// State returns the daemon's state, and the JSON that it sent, which may be of another version. An error that wraps
// ErrNoDaemon means that no daemon answered.
func (c *Client) State() (State, json.RawMessage, error) {
	var s State
	raw, err := c.send(http.MethodGet, "/api/v1/status", nil, &s)
	if err == nil && s.PID == 0 {
		err = c.foreign("")
	}
	if err != nil {
		return State{}, nil, err
	}
	return s, raw, nil
}

// Drain begins a drain. begun is false if one runs already.
func (c *Client) Drain() (begun bool, err error) {
	var answer drainAnswer
	err = c.Call(http.MethodPost, "/api/v1/drain", &answer)
	return answer.Begun, err
}

// Reload has the daemon load its file again and waits for the outcome. An error says why there is none.
func (c *Client) Reload() (out Reloaded, err error) {
	c.http.Timeout = reloadTime + answerTimeout
	err = c.Call(http.MethodPost, "/api/v1/reload", &out)
	return out, err
}

// Call sends a request and decodes the JSON of the answer into out. An error that wraps ErrNoDaemon means that no daemon
// answered.
func (c *Client) Call(method, path string, out any) error {
	_, err := c.send(method, path, nil, out)
	return err
}

// Post is Call with JSON in the request.
func (c *Client) Post(path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	_, err = c.send(http.MethodPost, path, body, out)
	return err
}

// send sends a request and decodes the JSON of the answer into out; raw is that JSON as the daemon wrote it.
func (c *Client) send(method, path string, in []byte, out any) (raw json.RawMessage, err error) {
	body, err := c.fetch(method, path, in)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, c.foreign("")
	}
	return bytes.TrimSpace(body), nil
}

// fetch sends a request and returns the body of the answer, unless that is an error.
func (c *Client) fetch(method, path string, in []byte) ([]byte, error) {
	resp, err := c.do(context.Background(), method, path, in)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, largestAnswer))
	if err != nil {
		return nil, c.unreached(err)
	}
	if resp.StatusCode/100 != 2 && resp.StatusCode != http.StatusUnprocessableEntity { // which has its outcome as JSON
		var f Failure
		if json.Unmarshal(body, &f) == nil && f.Text != "" {
			return nil, errors.New(plain.Lines(f.Text))
		}
		return nil, fmt.Errorf("%s answers %s: %s", c.name, plain.Text(resp.Status), plain.Lines(string(bytes.TrimSpace(body[:min(len(body), 200)]))))
	}
	return body, nil
}

// do sends a request and returns the answer, if it is the daemon's. The caller closes its body.
func (c *Client) do(ctx context.Context, method, path string, in []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.host+path, bytes.NewReader(in))
	if err != nil {
		return nil, err
	}
	req.Header.Set(verbHeader, "1")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, c.unreached(err)
	}
	if server := resp.Header.Get("Server"); server != AdminPort {
		resp.Body.Close()
		return nil, c.foreign(server)
	}
	return resp, nil
}

// unreached explains a request without a whole answer: nobody listens, or the server does not speak HTTP.
func (c *Client) unreached(err error) error {
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return fmt.Errorf("%w on %s: nothing came within %s", ErrNoDaemon, c.name, c.waited(err))
	}
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return fmt.Errorf("%w on %s: %w%s", ErrNoDaemon, c.name, errno, adviceFor(errno))
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w on %s: %w", ErrNoDaemon, c.name, err)
	}
	return c.foreign("")
}

// waited is how long the client waited until a timeout: a connection that does not come about is given up sooner than an answer.
func (c *Client) waited(err error) time.Duration {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return min(dialTimeout, c.http.Timeout)
	}
	return c.http.Timeout
}

// foreignServer is the error of an answer that is not of l4fwd's admin port. It does not quote the answer.
type foreignServer struct{ text string }

func (f *foreignServer) Error() string { return f.text }
func (f *foreignServer) Unwrap() error { return ErrNoDaemon }

// foreign is the error of an answer under another header Server.
func (c *Client) foreign(server string) error {
	hint := ""
	if server == HealthPort {
		hint = "; is this health.address? " + c.verb + " needs admin.address, default 127.0.0.1:9901"
	}
	return &foreignServer{fmt.Sprintf("what answers at %s is not l4fwd's admin address%s", c.name, hint)}
}

// adviceFor says what to do about an error of the connection.
func adviceFor(errno syscall.Errno) string {
	switch errno {
	case syscall.EACCES, syscall.EPERM:
		return "; the socket belongs to another user: try sudo"
	case syscall.ECONNREFUSED, syscall.ENOENT:
		return "; is it running, and with this admin.address? Name another one with --admin"
	}
	return ""
}
