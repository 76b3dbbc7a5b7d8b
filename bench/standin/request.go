package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// chatRequest is the part of a chat completion's request that changes the answer's shape.
type chatRequest struct {
	Model               string         `json:"model"` // the deployment, in the v1 API
	Messages            []chatMessage  `json:"messages"`
	Stream              bool           `json:"stream"`
	StreamOptions       *streamOptions `json:"stream_options"`
	MaxTokens           *int           `json:"max_tokens"`
	MaxCompletionTokens *int           `json:"max_completion_tokens"`
}

type chatMessage struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"` // a string, a list of parts, or null
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

// readBody reads a bounded body under the deadline that ServeHTTP set, and lifts that deadline, since
// net/http reads on in the background and would take its passing for the end of a streaming client.
func (h *handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.limits.size))
	if err != nil {
		return nil, err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, nil
}

// parseChat reads a request, or says what is wrong with it.
func parseChat(body []byte) (*chatRequest, *fault) {
	var req chatRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, jsonFault(err)
	}
	if len(req.Messages) == 0 {
		return nil, badRequest("messages", "Missing required parameter: 'messages'.")
	}
	for i, m := range req.Messages {
		if m.Role == "" {
			param := fmt.Sprintf("messages[%d].role", i)
			return nil, badRequest(param, "Missing required parameter: '"+param+"'.")
		}
	}
	for param, n := range map[string]*int{"max_tokens": req.MaxTokens, "max_completion_tokens": req.MaxCompletionTokens} {
		if n != nil && *n < 1 {
			return nil, badRequest(param, fmt.Sprintf("Invalid '%s': integer below minimum value. Expected a value >= 1, but got %d instead.", param, *n))
		}
	}
	if req.StreamOptions != nil && !req.Stream {
		return nil, badRequest("stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	return &req, nil
}

// jsonFault separates a value of the wrong type from text that is no JSON at all.
func jsonFault(err error) *fault {
	if mistyped, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && mistyped.Field != "" {
		return badRequest(mistyped.Field, fmt.Sprintf("Invalid type for '%s': got %s instead.", mistyped.Field, mistyped.Value))
	}
	return badRequest("", "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "+
		"library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)")
}

// limit is the number of tokens that the request allows, at most want.
func (r *chatRequest) limit(want int) int {
	for _, n := range []*int{r.MaxTokens, r.MaxCompletionTokens} {
		if n != nil {
			want = min(want, *n)
		}
	}
	return want
}

// promptTokens is a guess at four bytes a token, for the usage block.
func (r *chatRequest) promptTokens() int {
	n := 0
	for _, m := range r.Messages {
		n += 4 + len(m.Content)/4
	}
	return n
}
