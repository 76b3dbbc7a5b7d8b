package sim

import (
	"bytes"
	"errors"
	"io"
	"net/http"
)

// answer is what a service says to a request. An error means that there is no answer: the connection breaks.
type answer func(r *http.Request) (status int, contentType string, body []byte, err error)

// errBroken is how a connection without an answer ends, as far as the caller can tell.
var errBroken = errors.New("connection reset by peer")

type roundTripper answer

// RoundTrip answers the request within the process.
func (rt roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	status, contentType, body, err := rt(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

// serveAnswer writes what a returns. Its error ends the connection without an answer.
func serveAnswer(w http.ResponseWriter, r *http.Request, a answer) {
	status, contentType, body, err := a(r)
	if err != nil {
		panic(http.ErrAbortHandler) // net/http ends the connection at that, silently
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that has gone is the caller's loss
}
