package sim

import (
	"net/http"
	"net/http/httptest"
)

// InProcess is an HTTP client whose requests are answered by Handler in the caller's goroutine, without a network, so that
// simulated time (testing/synctest) passes in them. Like a network, it forgets the answer of a request that was given up.
type InProcess struct{ Handler http.Handler }

// Do answers r.
func (p InProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	p.Handler.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}
