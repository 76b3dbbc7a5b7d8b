package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Bounds of an answer. Azure's refusals have some 100 bytes; what comes beyond is not read.
const (
	maxHead = 32 << 10 // status line and headers
	maxBody = 64 << 10
	excerpt = 2 << 10 // what a result keeps of the body
	interim = 5       // answers with a status of 100 to 199 that are skipped
)

// HTTPRequest says what to ask.
type HTTPRequest struct {
	TLSRequest
	Path string // with a leading slash, and a query if need be
}

// HTTPResult is what an answer said.
type HTTPResult struct {
	TLS       TLSResult
	Proto     string        // such as HTTP/1.1; empty: no answer came
	Status    int           // 0: no answer came
	Header    http.Header   // of the answer
	Body      string        // its first 2 KiB
	FirstByte time.Duration // from the request to the end of the answer's headers
	Answered  time.Time     // when the answer's headers had come
	Took      time.Duration // from the request to the end of the answer, or of what is read of it

	// Refusal is why the server refuses the address that the request came from, in the server's words; empty: it does not. See
	// refusal.
	Refusal string
}

// HTTPS sends one GET over HTTP/1.1 and TLS, without a key, follows no redirect, and closes the connection. Any answer is a
// success, whatever its status; an answer that breaks off is none.
func HTTPS(ctx context.Context, r HTTPRequest) (HTTPResult, error) {
	var out HTTPResult
	r.protos = []string{"http/1.1"}
	c, secured, err := handshake(ctx, r.TLSRequest)
	out.TLS = secured
	if err != nil {
		return out, err
	}
	defer c.NetConn().Close() // without close_notify, which might wait
	stop := context.AfterFunc(ctx, func() { _ = c.NetConn().SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return out, out.ask(c, r)
}

// ask sends the request and reads the answer.
func (h *HTTPResult) ask(c *tls.Conn, r HTTPRequest) error {
	begun := time.Now()
	defer func() { h.Took = time.Since(begun) }()
	step := "GET " + r.Path
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: l4fwd\r\nAccept: */*\r\nConnection: close\r\n\r\n", r.Path, host(r.ServerName))
	if err != nil {
		return explain(step, err, begun)
	}
	bound := &io.LimitedReader{R: c, N: maxHead}
	resp, err := readAnswer(bufio.NewReaderSize(bound, 4<<10))
	switch {
	case err != nil && bound.N <= 0:
		return fmt.Errorf("%s: an answer with headers of more than %d KiB", step, maxHead>>10)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%s: the connection was closed before an answer", step)
	case err != nil:
		return explain(step, err, begun)
	}
	h.Answered, h.FirstByte = time.Now(), time.Since(begun)
	h.Proto, h.Status, h.Header = resp.Proto, resp.StatusCode, resp.Header
	bound.N = 2 * maxBody // also for the chunks' heads
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	h.Body = string(body[:min(len(body), excerpt)])
	h.Refusal = refusal(resp.StatusCode, string(body))
	if err != nil && bound.N > 0 {
		return explain(fmt.Sprintf("%s: the answer %d stopped after %d bytes of its body", step, resp.StatusCode, len(body)), err, begun)
	}
	return nil
}

// readAnswer reads the head of an answer. Interim ones (RFC 9110, section 15.2) are skipped.
func readAnswer(r *bufio.Reader) (*http.Response, error) {
	for range interim {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, nil
		}
	}
	return nil, errors.New("more than 5 interim answers")
}

// host is a name as it stands in a request: an IPv6 address in brackets.
func host(name string) string {
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}

// refusals are what Azure's answer 403 says where the account does not admit the address that asks: no rule of its firewall has
// the address, or it admits only private endpoints. Other answers 403 are about keys, roles and quotas.
var refusals = []string{"Firewall rules", "Public access is disabled"}

// refusal returns the sentence with which the server refuses the address that asks; empty: it does not.
func refusal(status int, body string) string {
	if status != http.StatusForbidden {
		return ""
	}
	for _, words := range refusals {
		if i := strings.Index(body, words); i >= 0 {
			return sentence(body, i)
		}
	}
	return ""
}

// sentence returns the text in quotes that surrounds body[at], on one line and without foreign characters: it goes into logs.
func sentence(body string, at int) string {
	from := strings.LastIndexByte(body[:at], '"') + 1
	to := len(body)
	if i := strings.IndexByte(body[at:], '"'); i >= 0 {
		to = at + i
	}
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, body[from:to])
	if len(text) > 200 {
		text = text[:200]
	}
	return strings.TrimSpace(text)
}
