package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
)

// Records are what a support case asks for beside the state.
type Records interface {
	// Recent is the last lines of the log.
	Recent() []byte
	// Effective is the configuration in use, as YAML.
	Effective() ([]byte, error)
	// ServeMetrics answers as the health port answers /metrics. That port may be off, or on an address that only the daemon knows.
	ServeMetrics(http.ResponseWriter, *http.Request)
}

// recent answers with the last lines of the log.
func (h handlers) recent(w http.ResponseWriter, _ *http.Request) { writeText(w, h.Recent()) }

// effective answers with the configuration in use.
func (h handlers) effective(w http.ResponseWriter, _ *http.Request) {
	text, err := h.Effective()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeText(w, text)
}

// writeText answers with a text.
func writeText(w http.ResponseWriter, text []byte) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(text) // the caller may be gone
}

// Open sends a GET and returns the body as it comes, which the caller closes. It may be endless, and stop at any byte.
func (c *Client) Open(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp.Body, nil
	case http.StatusNotFound:
		err = errors.New("this version of the daemon does not have it")
	default:
		err = fmt.Errorf("%s answers %s", c.name, plain.Text(resp.Status))
	}
	resp.Body.Close()
	return nil, err
}
