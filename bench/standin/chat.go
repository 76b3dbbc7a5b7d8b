package standin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"
)

// chat answers a chat completion of the dated API. As at the service, a deployment that does not exist is reported before the
// body is looked at.
func (h *handler) chat(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("api-version") == "" {
		h.refuse(w, http.StatusNotFound, bodyNotFound)
		return
	}
	if !slices.Contains(h.Deployments, r.PathValue("deployment")) {
		h.refuse(w, http.StatusNotFound, bodyNoDeployment)
		return
	}
	if req := h.chatRequest(w, r); req != nil {
		h.answer(w, r, req)
	}
}

// chatV1 answers a chat completion of the v1 API, which has no api-version and names the deployment in the body.
func (h *handler) chatV1(w http.ResponseWriter, r *http.Request) {
	req := h.chatRequest(w, r)
	switch {
	case req == nil:
	case req.Model == "":
		h.respond(w, http.StatusBadRequest, badRequest("model", "Missing required parameter: 'model'.").body())
	case !slices.Contains(h.Deployments, req.Model):
		h.refuse(w, http.StatusNotFound, bodyNoDeployment)
	default:
		h.answer(w, r, req)
	}
}

// chatRequest reads the body; nil when it was refused.
func (h *handler) chatRequest(w http.ResponseWriter, r *http.Request) *chatRequest {
	body, err := h.readBody(w, r)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			h.refuse(w, http.StatusRequestEntityTooLarge, bodyTooLarge)
			return nil
		}
		// Cut short or too slow: end the connection, since nothing after it can be understood.
		panic(http.ErrAbortHandler)
	}
	req, f := parseChat(body)
	if f != nil {
		h.respond(w, http.StatusBadRequest, f.body())
		return nil
	}
	return req
}

// answer sends the completion, whole or as a stream.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, req *chatRequest) {
	w.Header().Set("x-ms-region", "Stand-in")
	reply := h.compose(req)
	if req.Stream {
		h.stream(r.Context(), w, reply)
		return
	}
	h.respond(w, http.StatusOK, reply.whole())
}

// reply is an answer before it takes one of its two shapes.
type reply struct {
	id      string
	created int64 // Unix seconds
	tokens  int
	finish  string // stop or length
	usage   usage
	tally   bool // the client wants the usage at the end of the stream
}

// compose decides what is said, and how much of it.
func (h *handler) compose(req *chatRequest) *reply {
	want := h.Tokens
	if want == 0 {
		want = len(vocabulary)
	}
	n := req.limit(want)
	a := &reply{
		id:      "chatcmpl-" + rand.Text(),
		created: time.Now().Unix(),
		tokens:  n,
		finish:  "stop",
		tally:   req.StreamOptions != nil && req.StreamOptions.IncludeUsage,
	}
	if n < want {
		a.finish = "length"
	}
	prompt := req.promptTokens()
	a.usage = usage{CompletionTokens: n, PromptTokens: prompt, TotalTokens: n + prompt}
	return a
}

// whole is the answer as one JSON object.
func (a *reply) whole() []byte {
	b, err := json.Marshal(completion{
		Choices: []choice{{
			ContentFilterResults: harmless,
			FinishReason:         a.finish,
			Message:              message{Content: answer(a.tokens), Role: "assistant"},
		}},
		Created:             a.created,
		ID:                  a.id,
		Model:               modelName,
		Object:              "chat.completion",
		PromptFilterResults: []promptFilter{{ContentFilterResults: harmless}},
		SystemFingerprint:   fingerprint,
		Usage:               a.usage,
	})
	if err != nil {
		return nil // plain data always marshals
	}
	return b
}

// stream sends the answer as server-sent events, and counts how that ended.
func (h *handler) stream(ctx context.Context, w http.ResponseWriter, a *reply) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream; charset=utf-8")
	header.Set("Cache-Control", "no-cache, must-revalidate")
	e := &events{w: w, rc: http.NewResponseController(w), timeout: h.limits.write}
	if err := h.sendEvents(ctx, e, a); err != nil {
		h.stats.aborted.Add(1)
		// Not a clean end: a client that still listens must see a broken stream, not a short one.
		panic(http.ErrAbortHandler)
	}
	h.stats.streams.Add(1)
}

// sendEvents sends the events in order: the prompt's filter results (a chunk without choices, on which many a client
// has stumbled), the role, the tokens, the reason to finish, the usage if asked for, and the mark of the end.
func (h *handler) sendEvents(ctx context.Context, e *events, a *reply) error {
	if err := e.send(chunk{Choices: []chunkChoice{}, PromptFilterResults: []promptFilter{{ContentFilterResults: harmless}}}); err != nil {
		return err
	}
	empty := ""
	if err := e.send(a.chunk(delta{Role: "assistant", Content: &empty}, nil, nil)); err != nil {
		return err
	}
	for i := range a.tokens {
		if err := pause(ctx, h.Pace); err != nil {
			return err
		}
		t := token(i)
		if err := e.send(a.chunk(delta{Content: &t}, harmless, nil)); err != nil {
			return err
		}
		h.stats.tokens.Add(1)
	}
	if err := e.send(a.chunk(delta{}, nil, &a.finish)); err != nil {
		return err
	}
	if a.tally {
		c := a.chunk(delta{}, nil, nil)
		c.Choices, c.Usage = []chunkChoice{}, &a.usage
		if err := e.send(c); err != nil {
			return err
		}
	}
	return e.write([]byte("data: [DONE]\n\n"))
}

// chunk is one event with one choice. A nil filter is sent as an empty object.
func (a *reply) chunk(d delta, filter filterResults, finish *string) chunk {
	if filter == nil {
		filter = filterResults{}
	}
	return chunk{
		Choices:           []chunkChoice{{ContentFilterResults: filter, Delta: d, FinishReason: finish}},
		Created:           a.created,
		ID:                a.id,
		Model:             modelName,
		Object:            "chat.completion.chunk",
		SystemFingerprint: fingerprint,
	}
}

// events writes server-sent events, each flushed at once, so that each becomes a TLS record of its own.
type events struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	timeout time.Duration // for one event to leave for the client's socket
}

// send writes v as one event.
func (e *events) send(v chunk) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return e.write(append(append([]byte("data: "), b...), "\n\n"...))
}

// write sends raw bytes under a deadline of their own: a stream may last for hours, a stuck client may not.
func (e *events) write(b []byte) error {
	if err := e.rc.SetWriteDeadline(time.Now().Add(e.timeout)); err != nil {
		return err
	}
	if _, err := e.w.Write(b); err != nil {
		return err
	}
	return e.rc.Flush()
}
