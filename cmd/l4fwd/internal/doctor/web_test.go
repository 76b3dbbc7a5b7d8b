package doctor_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// serving runs an HTTP server until the test ends.
func serving(t *testing.T, h http.Handler) (url string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// answering is the URL of a server that answers with a text, as the services do that say what one's address is.
func answering(t *testing.T, text string) (url string) {
	t.Helper()
	return serving(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
}
