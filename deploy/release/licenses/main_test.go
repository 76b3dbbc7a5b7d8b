package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const mit = "Permission is hereby granted, free of charge, to any person\nobtaining …\nTHE SOFTWARE IS\nPROVIDED \"AS IS\", WITHOUT …"

func dir(t *testing.T, files map[string]string) string {
	t.Helper()
	d := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(d, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func TestTextsKeepNotices(t *testing.T) {
	m := module{"example.com/m", "v1", dir(t, map[string]string{"LICENSE.txt": mit, "NOTICE": "by Somebody", "main.go": "package main"})}
	var out bytes.Buffer
	if err := list(&out, []module{m}, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"example.com/m v1\n", "free of charge", "by Somebody"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	out.Reset()
	if err := list(&out, []module{m}, false); err != nil || !strings.Contains(out.String(), "| example.com/m | MIT |\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// A dependency without a license, or with one that nobody has looked at, is found when it is added.
func TestUnknownLicenseIsAnError(t *testing.T) {
	for name, files := range map[string]map[string]string{"none": {"main.go": ""}, "unknown": {"LICENSE": "You may not."}, "notice only": {"NOTICE": mit}} {
		err := list(&bytes.Buffer{}, []module{{"example.com/" + name, "v1", dir(t, files)}}, false)
		if err == nil || !strings.Contains(err.Error(), "example.com/"+name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
