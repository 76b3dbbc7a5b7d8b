package bundle

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// What looks like a credential is removed wherever it stands, and what an engineer needs stays.
func TestCredentialsAreRemoved(t *testing.T) {
	for text, want := range map[string]string{
		`path: /openai/models?api-version=2024-10-21&api-key=abcdef`:                 `path: /openai/models?api-version=2024-10-21&api-key=[removed]`,
		`path: /x?sv=2020&sig=abc%2Bdef`:                                             `path: /x?sv=[removed]&sig=[removed]`,
		`token: s3cr3t # of the CI`:                                                  `token: [removed] # of the CI`,
		`{"client_secret": "a \"quoted\" one", "port": 443}`:                         `{"client_secret": [removed], "port": 443}`,
		`{"msg":"x","error":"PUT: {\"api_key\":\"abc def\"}"}`:                       `{"msg":"x","error":"PUT: {\"api_key\":[removed]}"}`,
		`AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG`:                                `AWS_SECRET_ACCESS_KEY=[removed]`,
		`Authorization: Bearer abc.def`:                                              `Authorization: Bearer [removed]`,
		`sent "Bearer abcdefghijklmnop"`:                                             `sent "Bearer [removed]"`,
		`key AKIAIOSFODNN7EXAMPLE is bad`:                                            `key [removed] is bad`,
		`jwt eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4 end`:               `jwt [removed] end`,
		`http://user:pass@proxy.example:3128/x`:                                      `http://[removed]@proxy.example:3128/x`,
		"a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb": "a\n[removed]\nb",
		"a\n-----BEGIN PRIVATE KEY-----\nMIIE":                                       "a\n[removed]",
		`password='x y'`:                                                             `password=[removed]`,
		// These stay.
		`pool: "tag:l4fwd-pool=aoai"`:                                    `pool: "tag:l4fwd-pool=aoai"`,
		`pool: tag-key:l4fwd`:                                            `pool: tag-key:l4fwd`,
		`l4fwd_accepted_total{listener="aoai"} 17`:                       `l4fwd_accepted_total{listener="aoai"} 17`,
		`goroutine 1 [select, 2 minutes]:` + "\n\tmain.go:7 +0x1":        `goroutine 1 [select, 2 minutes]:` + "\n\tmain.go:7 +0x1",
		`{"sni":"a.openai.azure.com","upstream_addr":"20.42.4.211:443"}`: `{"sni":"a.openai.azure.com","upstream_addr":"20.42.4.211:443"}`,
		`GET /debug/pprof/goroutine?debug=2`:                             `GET /debug/pprof/goroutine?debug=2`,
		// Addresses of clients keep their network.
		`{"client":"203.0.113.77:5123","n":1}`:     `{"client":"203.0.113.0/24","n":1}`,
		`{"client": "2001:db8:1:2::7", "from":""}`: `{"client": "2001:db8:1::/48", "from":""}`,
		`{"client":"[::ffff:203.0.113.7]:99"}`:     `{"client":"203.0.113.0/24"}`,
		`{"client":"odd"}`:                         `{"client":"odd"}`,
		// A log is read in a terminal.
		"\x1b[31mred\x07\tand\n": "\uFFFD[31mred\uFFFD\tand\n",
	} {
		require.Equal(t, want, string(newRedactor(false).clean([]byte(text))), text)
	}
	require.Equal(t, `{"client":"203.0.113.77:5123"}`, string(newRedactor(true).clean([]byte(`{"client":"203.0.113.77:5123"}`))))
}

// The value of a variable that is named like a credential is removed, whatever stands around it.
func TestValuesOfTheEnvironmentAreRemoved(t *testing.T) {
	r := newRedactor(false)
	r.learn([]string{"AWS_SESSION_TOKEN=IQoJb3JpZ2lu", "MY_PASSWORD=IQoJb3JpZ2lu-longer", "API_KEY=short", "HOME=/home/someone", "TOKEN"})
	require.Equal(t, "x[removed]y [removed] short /home/someone", string(r.clean([]byte("xIQoJb3JpZ2luy IQoJb3JpZ2lu-longer short /home/someone"))))
	require.Equal(t, 2, r.count())
}

// The manifest has the number of places: each counts once, whichever rules it meets.
func TestCredentialsAreCounted(t *testing.T) {
	for text, n := range map[string]int{
		`path: /x?api-version=2024-10-21&api-key=abcdef`: 1, `path: /x?sv=2020&sig=abc`: 2, `token: a, password: b`: 2, "Bearer abcdefghijklmnop": 1,
		`{"client":"203.0.113.77:5123"}`: 0, `GET /debug/pprof/goroutine?debug=2`: 0,
	} {
		r := newRedactor(false)
		r.clean([]byte(text))
		require.Equal(t, n, r.count(), text)
	}
}

// A daemon with very many connections has a listing of megabytes, in one line.
func BenchmarkClean(b *testing.B) {
	row := []byte(`{"id":4711,"client":"203.0.113.77:51234","sni":"a.openai.azure.com","upstream_address":"20.42.4.211:443","bytes_up_per_second":12.5,"state":"relaying"},`)
	text := bytes.Repeat(row, 8<<20/len(row))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		newRedactor(false).clean(text)
	}
}

func BenchmarkCleanWithNames(b *testing.B) {
	text := bytes.Repeat([]byte(`l4fwd_keys_total{listener="aoai",token="none"} 17`+"\n"), 20<<10)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		newRedactor(false).clean(text)
	}
}
