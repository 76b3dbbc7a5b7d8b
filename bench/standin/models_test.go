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
	for query, status := range map[string]int{"?api-version=2024-06-01": http.StatusOK, "": http.StatusNotFound} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+Name+"/openai/models"+query, nil)
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
			t.Fatalf("%q: %d, want %d: %s", query, resp.StatusCode, status, body)
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
