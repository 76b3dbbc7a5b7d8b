package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStatementNamesFilesByDigest(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.tar.gz": "hello\n", "go.sum": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := "l4fwd@sha256:" + strings.Repeat("ab", 32)
	r, err := parse([]string{"-version", "v1", "-commit", "c0ffee", "-builder", "https://example.com/b", "-modules", filepath.Join(dir, "go.sum"),
		"-image", image, "-parameter", "platforms=linux/amd64", filepath.Join(dir, "a.tar.gz")})
	if err != nil {
		t.Fatal(err)
	}
	var one, two bytes.Buffer
	if err := r.write(&one); err != nil {
		t.Fatal(err)
	}
	if err := r.write(&two); err != nil || one.String() != two.String() {
		t.Errorf("two runs differ (%v)", err)
	}
	var s statement
	if err := json.Unmarshal(one.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	// printf 'hello\n' | sha256sum
	if s.Subject[0].Name != "a.tar.gz" || s.Subject[0].Digest["sha256"] != "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" {
		t.Errorf("subject %+v", s.Subject[0])
	}
	if s.Subject[1].Name != "l4fwd" || s.Subject[1].Digest["sha256"] != strings.Repeat("ab", 32) {
		t.Errorf("image %+v", s.Subject[1])
	}
	d := s.Predicate.BuildDefinition
	if d.ResolvedDependencies[0].Digest["gitCommit"] != "c0ffee" || d.ExternalParameters["platforms"] != "linux/amd64" || s.Predicate.RunDetails.Builder.ID != "https://example.com/b" {
		t.Errorf("%+v", s.Predicate)
	}
}

func TestFaultsOfARequest(t *testing.T) {
	known := []string{"-version", "v", "-commit", "c", "-builder", "b"}
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"f"}, "-version, -commit and -builder"},
		{known, "name the files"},
		{append(known, "-parameter", "x", "f"), "KEY=VALUE"},
	} {
		if _, err := parse(tc.args); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.args, err, tc.want)
		}
	}
	for _, image := range []string{"l4fwd:1", "l4fwd@sha256:abcd", "l4fwd@sha256:" + strings.Repeat("zz", 32)} {
		r := request{image: image, modules: os.DevNull, parameters: map[string]string{}}
		if err := r.write(&bytes.Buffer{}); err == nil {
			t.Errorf("image %q taken", image)
		}
	}
}
