package standin

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The bodies as the service sends them, written out once more, so that an edit of the constants shows.
const (
	want401 = `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an active subscription and use a correct regional API endpoint for your resource."}}`
	want403 = `{"error":{"code":"403","message": "Access denied due to Virtual Network/Firewall rules."}}`
	wantOff = `{"error":{"code":"403","message": "Public access is disabled. Please configure private endpoint."}}`
)

// raw sends an HTTP/1.1 request as written and returns every byte of the answer.
func raw(t *testing.T, s *Server, request string) string {
	t.Helper()
	c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{RootCAs: s.RootCAs(), ServerName: Name})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRefusalsByteForByte(t *testing.T) {
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	elsewhere := []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")}
	for _, tc := range []struct {
		name   string
		opts   Options
		status int
		body   string
	}{
		{"no key", Options{}, 401, want401},
		{"denied to all", Options{Deny: true}, 403, want403},
		{"denied to this source", Options{Deny: true, Allow: elsewhere}, 403, want403},
		{"public access disabled", Options{Deny: true, Denial: DenialDisabled}, 403, wantOff},
		{"allowed source without a key", Options{Deny: true, Allow: here}, 401, want401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := raw(t, start(t, tc.opts), "GET / HTTP/1.1\r\nHost: "+Name+"\r\nConnection: close\r\n\r\n")
			head, body, _ := strings.Cut(got, "\r\n\r\n")
			if !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", tc.status)) {
				t.Errorf("status line of %q, want %d", head, tc.status)
			}
			if body != tc.body {
				t.Errorf("body\n%s, want\n%s", body, tc.body)
			}
			if want := fmt.Sprintf("\r\nContent-Length: %d\r\n", len(tc.body)); !strings.Contains(head+"\r\n", want) {
				t.Errorf("no %q in %q", want, head)
			}
			if !strings.Contains(head, "Apim-Request-Id: ") {
				t.Errorf("no request id in %q", head)
			}
		})
	}
	if len(want401) != 224 {
		t.Errorf("the 401 is %d bytes, the service's 224", len(want401))
	}
}

// The probe sends a GET without a key to wherever it likes, over either protocol.
func TestAnyRequestWithoutKeyIs401(t *testing.T) {
	s := start(t, Options{})
	for _, h2 := range []bool{false, true} {
		c := client(t, s, s.Addr().String(), h2)
		for _, path := range []string{"/", "/openai/models?api-version=1", "/no/such", "/openai/deployments/gpt-4o/chat/completions"} {
			resp, err := c.Get("https://" + Name + path)
			if err != nil {
				t.Fatal(err)
			}
			body := readAll(t, resp)
			resp.Body.Close()
			if resp.StatusCode != 401 || body != want401 || resp.ContentLength != 224 {
				t.Errorf("h2=%v %s: %d, %d bytes, %s", h2, path, resp.StatusCode, resp.ContentLength, body)
			}
		}
	}
}

func TestKeyInEitherHeader(t *testing.T) {
	s := start(t, Options{Key: "sesame"})
	c := client(t, s, s.Addr().String(), true)
	for _, tc := range []struct {
		header, value string
		status        int
	}{
		{"api-key", "sesame", 200},
		{"Authorization", "Bearer sesame", 200},
		{"Authorization", "bearer sesame", 200},
		{"Authorization", "Basic sesame", 401},
		{"Authorization", "Bearer ", 401},
		{"api-key", "sesam", 401},
		{"api-key", "", 401},
	} {
		req, _ := http.NewRequest(http.MethodPost, chatURL("gpt-4o"), strings.NewReader(hello))
		req.Header.Set(tc.header, tc.value)
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tc.status {
			t.Errorf("%s: %q answers %d, want %d", tc.header, tc.value, resp.StatusCode, tc.status)
		}
	}
}

func TestFaultsOfARequest(t *testing.T) {
	s := start(t, Options{limits: limits{size: 4096}})
	c := client(t, s, s.Addr().String(), false)
	good := chatURL("gpt-4o")
	for _, tc := range []struct {
		name, url, body string
		status          int
		want            string
	}{
		{"unknown deployment", chatURL("gpt-9"), hello, 404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."}}`},
		{"no api-version", strings.TrimSuffix(good, "?api-version=2024-10-21"), hello, 404, `{"error":{"code":"404","message": "Resource not found"}}`},
		{"unknown path", "https://" + Name + "/nowhere", hello, 404, `{"error":{"code":"404","message": "Resource not found"}}`},
		{"no JSON", good, `{"messages":`, 400, "could not parse the JSON body"},
		{"two values", good, hello + hello, 400, "could not parse the JSON body"},
		{"empty", good, ``, 400, "could not parse the JSON body"},
		{"a list", good, `[]`, 400, "could not parse the JSON body"},
		{"null", good, `null`, 400, `"param": "messages"`},
		{"mistyped", good, `{"stream":"yes"}`, 400, `"param": "stream"`},
		{"no messages", good, `{"messages":[]}`, 400, `"param": "messages"`},
		{"no role", good, `{"messages":[{"content":"x"}]}`, 400, `"param": "messages[0].role"`},
		{"no tokens", good, `{"messages":[{"role":"user"}],"max_tokens":0}`, 400, `"param": "max_tokens"`},
		{"usage of no stream", good, `{"messages":[{"role":"user"}],"stream_options":{}}`, 400, `"param": "stream_options"`},
		{"too large", good, strings.Repeat(" ", 5000), 413, `"code":"413"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp := post(t, c, tc.url, tc.body)
			body := readAll(t, resp)
			if resp.StatusCode != tc.status || !strings.Contains(body, tc.want) {
				t.Errorf("%d %s, want %d with %s", resp.StatusCode, body, tc.status, tc.want)
			}
			if tc.status == 400 {
				f := decode[struct{ Error *fault }](t, body)
				if f.Error.Type != "invalid_request_error" || f.Error.Message == "" || f.Error.Code != nil {
					t.Errorf("fault %+v", f.Error)
				}
			}
		})
	}
}

// Recorded from the service: an answer of the model itself is indented and ends in a newline, 170 bytes here.
func TestFaultBodyHasTheServicesLayout(t *testing.T) {
	got := badRequest("", "'json_object' is not of type 'object' - 'response_format'").body()
	if len(got) != 170 || !bytes.HasPrefix(got, []byte("{\n  \"error\": {\n    \"message\": ")) {
		t.Errorf("%d bytes:\n%s", len(got), got)
	}
}

func TestOptionsThatCannotBeMeant(t *testing.T) {
	for want, opts := range map[string]Options{
		"denial":     {Denial: "politely"},
		"allow list": {Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		"tokens":     {Tokens: -1},
		"listen":     {Listen: "127.0.0.1:http-no-such"},
	} {
		s, err := Start(opts)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

func FuzzParseChat(f *testing.F) {
	for _, seed := range []string{hello, helloStream, `null`, `[]`, `{"messages":[null]}`, `{"max_tokens":1e9}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, fault := parseChat(body)
		if (req == nil) == (fault == nil) {
			t.Fatalf("both or none of request and fault for %q", body)
		}
		if fault != nil && len(fault.body()) == 0 {
			t.Fatalf("fault without a body for %q", body)
		}
		if req != nil && (req.limit(7) < 1 || req.promptTokens() < 1) {
			t.Fatalf("request %+v from %q", req, body)
		}
	})
}
