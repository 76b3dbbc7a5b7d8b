package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/proxy"
)

// The JSON API, version 1: docs/API.md. Fields may be added; none is renamed or removed within a version.

// Traffic is what the API shows and changes of the forwarder. See proxy.Server.
type Traffic interface {
	Connections(context.Context) (proxy.Listing, error)
	CloseConnection(id uint64) error
	EjectAddress(upstream string, addr netip.AddrPort, d time.Duration) (proxy.Ejection, error)
	RestoreAddress(upstream string, addr netip.AddrPort) (proxy.Ejection, error)
}

// Journal is what the API shows and changes of the log.
type Journal interface {
	LogLevel() LogLevel
	// SetLogLevel changes the level of the log for d, or until a reload if d is 0. The level exists.
	SetLogLevel(level string, d time.Duration) LogLevel
	Events() []Event // the latest ones, the oldest first
}

// LogLevel is the level of the log.
type LogLevel struct {
	Level      string    `json:"level"`
	Configured string    `json:"configured"`     // log.level of the configuration in use
	Until      time.Time `json:"until,omitzero"` // when Configured is in force again; absent: at the next reload, or it is
}

// LogLevels are the choices of a level, the most talkative first.
var LogLevels = []string{"debug", "info", "warn", "error"}

// longestFor is how long an ejection or a log level may last: what is to last longer belongs into the file.
const longestFor = 30 * 24 * time.Hour

// CheckFor returns an error for a duration that cannot be the end of an ejection or of a level. 0 is none.
func CheckFor(d time.Duration) error {
	if d < 0 || d > 0 && d < time.Second || d > longestFor {
		return fmt.Errorf("%s is out of range: use 1s to 720h", d)
	}
	return nil
}

// Requests that change something.
type (
	closeRequest struct {
		ID uint64 `json:"id"`
	}
	addressRequest struct {
		Upstream string         `json:"upstream"`
		Address  netip.AddrPort `json:"address"`
		For      duration       `json:"for,omitzero"`
	}
	levelRequest struct {
		Level string   `json:"level"`
		For   duration `json:"for,omitzero"`
	}
)

// duration is a time.Duration as text: "10m".
type duration time.Duration

// MarshalText writes a duration as Go does, such as 1h30m0s.
func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration with its unit.
func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%.40q is no duration: write 10m, 90s or 1h30m", b)
	}
	*d = duration(v)
	return CheckFor(v)
}

// Failure is the body of an answer that reports an error.
type Failure struct {
	Text string `json:"error"`
}

// failed answers with an error.
func failed(w http.ResponseWriter, status int, err error) {
	writeJSON(w, status, Failure{err.Error()})
}

// unknownKey is the error of a parameter that there is not.
func unknownKey(name string) error { return fmt.Errorf("the query has an unknown key %.40q", name) }

// query returns the parameters of a request's URL. On an error it has answered: without a filter that cannot be read all would be listed.
func query(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err == nil {
		return values, true
	}
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if _, wrong := url.ParseQuery(pair); wrong != nil {
			name, _, _ := strings.Cut(pair, "=")
			err = fmt.Errorf("%.40s: %w", name, wrong)
			break
		}
	}
	failed(w, http.StatusBadRequest, err)
	return nil, false
}

// largestBody is the most that a request may send, in bytes.
const largestBody = 16 << 10

// decode reads the JSON of a request into v. On an error it has answered. A web page of another site cannot send this content type.
func decode(w http.ResponseWriter, r *http.Request, v any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		failed(w, http.StatusUnsupportedMediaType, errors.New("send the header Content-Type: application/json"))
		return false
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, largestBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(v)
	if err == nil {
		if _, more := dec.Token(); more != io.EOF {
			err = errors.New("something follows the JSON object")
		}
	}
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &large):
		failed(w, http.StatusRequestEntityTooLarge, fmt.Errorf("the request is larger than %d bytes", largestBody))
	case errors.Is(err, io.EOF):
		failed(w, http.StatusBadRequest, errors.New("the request has no JSON object: see docs/API.md"))
	default:
		failed(w, http.StatusBadRequest, fmt.Errorf("the request is not as docs/API.md has it: %w", err))
	}
	return false
}
