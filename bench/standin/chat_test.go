package standin

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWholeAnswer(t *testing.T) {
	s := start(t, Options{})
	for _, h2 := range []bool{false, true} {
		resp := post(t, client(t, s, s.Addr().String(), h2), chatURL("gpt-4o"), hello)
		if want := map[bool]int{false: 1, true: 2}[h2]; resp.ProtoMajor != want || resp.StatusCode != 200 {
			t.Fatalf("HTTP/%d, status %d", resp.ProtoMajor, resp.StatusCode)
		}
		c := decode[completion](t, readAll(t, resp))
		switch ch := c.Choices[0]; {
		case c.Object != "chat.completion", c.Model != modelName, !strings.HasPrefix(c.ID, "chatcmpl-"), c.Created == 0,
			ch.FinishReason != "stop", ch.Message.Role != "assistant", ch.Message.Content != text,
			c.Usage.CompletionTokens != len(vocabulary), c.Usage.TotalTokens != c.Usage.CompletionTokens+c.Usage.PromptTokens:
			t.Errorf("answer %+v", c)
		}
	}
}

func TestAnswerLength(t *testing.T) {
	s := start(t, Options{Tokens: 2*len(vocabulary) + 3})
	c := client(t, s, s.Addr().String(), true)
	long := decode[completion](t, readAll(t, post(t, c, chatURL("gpt-4o"), hello)))
	if got := long.Choices[0].Message.Content; !strings.HasPrefix(got, text+" "+text+" Hello from") {
		t.Errorf("a long answer repeats the text, not %q", got)
	}
	cut := decode[completion](t, readAll(t, post(t, c, chatURL("gpt-4o"), strings.Replace(hello, "{", `{"max_tokens":2,`, 1))))
	if ch := cut.Choices[0]; ch.FinishReason != "length" || ch.Message.Content != "Hello from" {
		t.Errorf("an answer cut at 2 tokens: %+v", ch)
	}
}

// streamText checks the order and shape of a stream's events and returns its text and last usage.
func streamText(t *testing.T, events []string) (string, *usage) {
	t.Helper()
	if last := events[len(events)-1]; last != "[DONE]" {
		t.Fatalf("the stream ends in %q", last)
	}
	first := decode[chunk](t, events[0])
	if len(first.Choices) != 0 || len(first.PromptFilterResults) != 1 || first.ID != "" {
		t.Errorf("first event %+v", first)
	}
	var b strings.Builder
	var total *usage
	finished := false
	for i, e := range events[1 : len(events)-1] {
		c := decode[chunk](t, e)
		if c.Object != "chat.completion.chunk" || !strings.HasPrefix(c.ID, "chatcmpl-") {
			t.Fatalf("event %s", e)
		}
		if len(c.Choices) == 0 {
			total = c.Usage
			continue
		}
		d := c.Choices[0].Delta
		if (i == 0) != (d.Role == "assistant") {
			t.Errorf("event %d has the role %q", i, d.Role)
		}
		if finished {
			t.Errorf("event %s after the one that finished", e)
		}
		if finished = c.Choices[0].FinishReason != nil; !finished {
			b.WriteString(*d.Content)
		}
	}
	if !finished {
		t.Error("no reason to finish")
	}
	return b.String(), total
}

// What an OpenAI client does, through a relay that sees but ciphertext, as l4fwd is one.
func TestStreamThroughARelay(t *testing.T) {
	s := start(t, Options{})
	via := startRelay(t, s.Addr().String())
	for _, h2 := range []bool{false, true} {
		c := client(t, s, via.ln.Addr().String(), h2)
		resp := post(t, c, chatURL("gpt-4o"), helloStream)
		if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream; charset=utf-8" {
			t.Errorf("content type %q", ct)
		}
		if !resp.TLS.PeerCertificates[0].Equal(s.Leaf()) {
			t.Error("the relay changed the certificate")
		}
		got, total := streamText(t, readEvents(t, resp.Body))
		if got != text || total != nil {
			t.Errorf("text %q, usage %v", got, total)
		}
		c.CloseIdleConnections()
	}
	if st := s.Stats(); st.Streams != 2 || st.Aborted != 0 || st.Tokens != int64(2*len(vocabulary)) {
		t.Errorf("stats %+v", st)
	}
}

func TestStreamTellsUsageWhenAsked(t *testing.T) {
	s := start(t, Options{Tokens: 4})
	body := strings.Replace(helloStream, "{", `{"stream_options":{"include_usage":true},`, 1)
	_, total := streamText(t, readEvents(t, post(t, client(t, s, s.Addr().String(), true), chatURL("gpt-4o"), body).Body))
	if total == nil || total.CompletionTokens != 4 {
		t.Errorf("usage %v", total)
	}
}

// Tokens must arrive one by one, not in a lump at the end: that is what the relay is measured with.
func TestStreamKeepsItsPace(t *testing.T) {
	const pace, tokens = 20 * time.Millisecond, 10
	s := start(t, Options{Pace: pace, Tokens: tokens})
	began := time.Now()
	resp := post(t, client(t, s, s.Addr().String(), false), chatURL("gpt-4o"), helloStream)
	sc := bufio.NewScanner(resp.Body)
	var first, last time.Duration
	for sc.Scan() {
		if strings.Contains(sc.Text(), `"content":"`) && !strings.Contains(sc.Text(), `"role"`) {
			last = time.Since(began)
			if first == 0 {
				first = last
			}
		}
	}
	// Lower bounds only: a busy machine is late, never early.
	if low := time.Duration(float64(pace) * (1 - jitter)); first < low || last-first < (tokens-1)*low/2 {
		t.Errorf("first token after %v, last after %v", first, last)
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sum time.Duration
		const rounds = 2000
		for range rounds {
			began := time.Now()
			if err := pause(t.Context(), DefaultPace); err != nil {
				t.Fatal(err)
			}
			d := time.Since(began)
			if d < 25*time.Millisecond || d > 40*time.Millisecond {
				t.Fatalf("a pause of %v", d)
			}
			sum += d
		}
		if mean := sum / rounds; mean < 31*time.Millisecond || mean > 33*time.Millisecond {
			t.Errorf("mean pause %v", mean)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := pause(ctx, time.Hour); err != context.DeadlineExceeded {
			t.Errorf("an ended context gives %v", err)
		}
	})
}

// A client that goes away in the middle must not leave a handler behind; goleak watches the goroutines.
func TestClientGoesAwayMidStream(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		s := start(t, Options{Pace: 10 * time.Millisecond, Tokens: 1 << 20})
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, http.MethodPost, chatURL("gpt-4o"), strings.NewReader(helloStream))
		req.Header.Set("api-key", DefaultKey)
		resp, err := client(t, s, s.Addr().String(), h2).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 2048)); err != nil {
			t.Fatal(err)
		}
		cancel()
		resp.Body.Close()
		eventually(t, "the handler ends", func() bool { return s.Stats().Active == 0 })
		if st := s.Stats(); st.Aborted != 1 || st.Streams != 0 {
			t.Errorf("h2=%v: stats %+v", h2, st)
		}
	}
}

// A client that is there but takes nothing is cut off once the socket buffers are full.
func TestClientThatReadsNothing(t *testing.T) {
	s := start(t, Options{Tokens: 1 << 30, limits: limits{write: 200 * time.Millisecond}})
	for _, h2 := range []bool{false, true} {
		before := s.Stats().Aborted
		post(t, client(t, s, s.Addr().String(), h2), chatURL("gpt-4o"), helloStream)
		eventually(t, "the stream is cut off", func() bool { return s.Stats().Aborted > before })
	}
}

// A client may not hold a connection by sending its headers, its body or its handshake bit by bit.
func TestSlowClients(t *testing.T) {
	s := start(t, Options{limits: limits{header: 100 * time.Millisecond, body: 100 * time.Millisecond}})
	head := "POST /openai/deployments/gpt-4o/chat/completions?api-version=1 HTTP/1.1\r\nHost: " + Name + "\r\nContent-Length: 100\r\n"
	for name, sent := range map[string]string{
		"headers":           head,
		"body":              head + "api-key: " + DefaultKey + "\r\n\r\n{",
		"body of a refused": head + "\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{RootCAs: s.RootCAs(), ServerName: Name})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			expectEnd(t, c, sent)
		})
	}
	t.Run("handshake", func(t *testing.T) {
		c, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		expectEnd(t, c, "\x16\x03\x01")
	})
}

// expectEnd sends and waits for the server to hang up.
func expectEnd(t *testing.T, c net.Conn, sent string) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, sent); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Error("the server holds on")
		}
	}
}

// The body's deadline must not cut a stream that lasts longer than it.
func TestStreamOutlivesTheBodyDeadline(t *testing.T) {
	s := start(t, Options{Pace: 20 * time.Millisecond, Tokens: 40,
		limits: limits{header: 400 * time.Millisecond, body: 400 * time.Millisecond, write: 400 * time.Millisecond}})
	for _, h2 := range []bool{false, true} {
		resp := post(t, client(t, s, s.Addr().String(), h2), chatURL("gpt-4o"), helloStream)
		if got, _ := streamText(t, readEvents(t, resp.Body)); got != answer(40) {
			t.Errorf("h2=%v: %q", h2, got)
		}
	}
}

func TestCertificateNames(t *testing.T) {
	s := start(t, Options{})
	for _, name := range []string{Name, "any.openai.azure.com", "localhost", "127.0.0.1", "::1"} {
		if err := s.Leaf().VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if err := s.Leaf().VerifyHostname("openai.azure.com"); err == nil {
		t.Error("a name it should not have")
	}
	if !strings.HasPrefix(string(s.CAPEM()), "-----BEGIN CERTIFICATE-----\n") {
		t.Errorf("authority %q", s.CAPEM())
	}
}

func TestCloseEndsStreams(t *testing.T) {
	s, err := Start(Options{Tokens: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	resp := post(t, client(t, s, s.Addr().String(), false), chatURL("gpt-4o"), helloStream)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("a stream that was cut must not look complete")
	}
	eventually(t, "the handler ends", func() bool { return s.Stats().Active == 0 })
}
