package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/l4fwd/l4fwd/bench/standin"
)

const (
	prompt = `{"model":"` + standin.DefaultDeployment + `","messages":[{"role":"user","content":"Who are you?"}],"stream":true}`

	chatTimeout = 30 * time.Second
)

// chatURL is what a client of the real service would ask; only the way there differs.
const chatURL = "https://" + standin.Name + "/openai/v1/chat/completions"

// exchange is what the client saw of its request.
type exchange struct {
	local string // its address, by which the access log knows it
	bytes int64  // that its socket gave it: TLS records with all they carry
}

// chat streams one completion through l4fwd and prints the tokens as they come. Its connection is closed when
// it returns, so that l4fwd logs it.
func (s *stack) chat(ctx context.Context, p *paint) (exchange, error) {
	ctx, cancel := context.WithTimeout(ctx, chatTimeout)
	defer cancel()
	var conn *countedConn
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.origin.RootCAs(), ServerName: standin.Name},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, network, s.listen)
			if err != nil {
				return nil, err
			}
			conn = &countedConn{Conn: c}
			return conn, nil
		},
	}
	// The client closes first. If both did, its close_notify could reach the stand-in unread, and the kernel would reset instead, tcp(7).
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, chatURL, strings.NewReader(prompt))
	if err != nil {
		return exchange{}, err
	}
	req.Header.Set("api-key", standin.DefaultKey)
	req.Header.Set("Content-Type", "application/json")
	began := time.Now()
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return exchange{}, fmt.Errorf("chat through l4fwd: %w", err)
	}
	defer resp.Body.Close()
	if err := s.showTLS(p, resp.TLS); err != nil {
		return exchange{}, err
	}
	if err := showStream(p, resp, began); err != nil {
		return exchange{}, fmt.Errorf("chat through l4fwd: %w", err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil { // its end, so that the connection is idle
		return exchange{}, fmt.Errorf("chat through l4fwd: the end of the answer: %w", err)
	}
	return exchange{local: conn.LocalAddr().String(), bytes: conn.read.Load()}, nil
}

// showTLS shows whom the client speaks to, and checks that it is the stand-in itself: had l4fwd, or anybody,
// opened the TLS session on the way, the client would have seen another certificate.
func (s *stack) showTLS(p *paint, state *tls.ConnectionState) error {
	leaf := state.PeerCertificates[0]
	if !leaf.Equal(s.origin.Leaf()) {
		return fmt.Errorf("the client saw the certificate of %s, not the stand-in's", leaf.Subject)
	}
	p.field("asked for", standin.Name)
	p.field("subject", leaf.Subject.String())
	p.field("issuer", leaf.Issuer.String())
	p.field("sha-256", fmt.Sprintf("%.8x…, the stand-in's own: nobody between opened the TLS session", sha256.Sum256(leaf.Raw)))
	p.field("session", fmt.Sprintf("%s, %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite)))
	return nil
}

// showStream prints a stream's tokens, and how they came.
func showStream(p *paint, resp *http.Response, began time.Time) error {
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return fmt.Errorf("status %s: %s", resp.Status, body)
	}
	p.field("status", resp.Status)
	out := p.prose()
	defer out.end()
	var first time.Duration
	tokens := 0
	sc := bufio.NewScanner(resp.Body)
	for sc.Scan() {
		payload, ok := strings.CutPrefix(sc.Text(), "data: ")
		if !ok {
			continue
		}
		if payload == "[DONE]" {
			out.end()
			p.field("stream", fmt.Sprintf("%d tokens, the first after %s, the last after %s", tokens, short(first), short(time.Since(began))))
			return drainBody(sc)
		}
		t, err := content(payload)
		if err != nil {
			return err
		}
		if t == "" {
			continue
		}
		if tokens++; tokens == 1 {
			first = time.Since(began)
		}
		out.write(t)
	}
	if err := sc.Err(); err != nil {
		return err
	}
	return errors.New("the stream ended without [DONE]")
}

// drainBody reads what follows [DONE], so that the whole answer has passed l4fwd before the client hangs up.
func drainBody(sc *bufio.Scanner) error {
	for sc.Scan() {
	}
	return sc.Err()
}

// content is the token in one event, "" in an event without: the first has no choices at all.
func content(payload string) (string, error) {
	var event struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
	}
	if err := json.Unmarshal([]byte(payload), &event); err != nil {
		return "", fmt.Errorf("event %q: %w", payload, err)
	}
	if len(event.Choices) == 0 {
		return "", nil
	}
	return event.Choices[0].Delta.Content, nil
}

// countedConn counts what was read.
type countedConn struct {
	net.Conn
	read atomic.Int64
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}
