package standin

import (
	"encoding/json"
	"net/http"
	"testing"
)

// The README tests a path by listing the models: 200 with the key, and what the service says without a version.
func TestModelsAreListed(t *testing.T) {
	s := start(t, Options{})
	c := client(t, s, s.Addr().String(), true)
	for path, status := range map[string]int{
		"/openai/v1/models": http.StatusOK, "/openai/models?api-version=2024-06-01": http.StatusOK, "/openai/models": http.StatusNotFound,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+Name+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("api-key", DefaultKey)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body := readAll(t, resp)
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Fatalf("%q: %d, want %d: %s", path, resp.StatusCode, status, body)
		}
		if status != http.StatusOK {
			continue
		}
		var got modelList
		if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Data) != 1 || got.Data[0].ID != modelName {
			t.Errorf("%v: %s", err, body)
		}
	}
}

// The v1 API names the deployment in the body, and has no version in the URL.
func TestChatOfTheV1API(t *testing.T) {
	s := start(t, Options{})
	c := client(t, s, s.Addr().String(), true)
	for body, status := range map[string]int{
		`{"model":"gpt-4o",` + hello[1:]: http.StatusOK,
		`{"model":"gpt-9",` + hello[1:]:  http.StatusNotFound,
		hello:                            http.StatusBadRequest,
		`{"model":`:                      http.StatusBadRequest,
	} {
		resp := post(t, c, "https://"+Name+"/openai/v1/chat/completions", body)
		if got := readAll(t, resp); resp.StatusCode != status {
			t.Errorf("%s: %d, want %d: %s", body, resp.StatusCode, status, got)
		}
	}
}
