// Command licenses lists the modules that l4fwd's binary is made of with their licenses; with -texts, the texts themselves, which go
// into every archive as their licenses demand.
//
//	licenses [-texts]       run in the root of the repository
//
// A license that is not known here is an error, so that a new dependency is looked at once.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// module is a dependency, and where its source is on this machine.
type module struct {
	path, version, dir string
}

// known are words that tell a license, the longest first; all of them occur in its text.
var known = []struct {
	name  string
	words []string
}{
	{"Apache-2.0", []string{"Apache License", "Version 2.0"}},
	{"MPL-2.0", []string{"Mozilla Public License Version 2.0"}},
	{"BSD-3-Clause", []string{"Redistribution and use in source and binary forms", "Neither the name"}},
	{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms"}},
	{"MIT", []string{"Permission is hereby granted, free of charge", "THE SOFTWARE IS PROVIDED \"AS IS\""}},
	{"ISC", []string{"Permission to use, copy, modify, and/or distribute this software"}},
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("licenses: ")
	texts := flag.Bool("texts", false, "print the texts of the licenses")
	flag.Parse()
	modules, err := dependencies()
	if err == nil {
		err = list(os.Stdout, modules, *texts)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// dependencies are the modules of the binary on every platform that is released, and Go's standard library.
func dependencies() ([]module, error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	found := map[module]bool{{"Go standard library", "", strings.TrimSpace(string(goroot))}: true}
	for _, platform := range []string{"linux", "darwin"} {
		cmd := exec.Command("go", "list", "-deps", "-f", `{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}`, "./cmd/l4fwd")
		cmd.Env = append(os.Environ(), "GOOS="+platform, "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go list for %s: %w", platform, err)
		}
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) == 3 {
				found[module{f[0], f[1], f[2]}] = true
			}
		}
	}
	var modules []module
	for m := range found {
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return modules, nil
}

// list writes the table, or the texts.
func list(out io.Writer, modules []module, texts bool) error {
	w := bufio.NewWriter(out)
	if !texts {
		fmt.Fprintln(w, "# Licenses\n\nThe modules that l4fwd's binary is made of. `make docs` writes this file; each release archive has the texts in `NOTICES`.\n\n| module | license |\n|---|---|")
	}
	var faults []error
	for _, m := range modules {
		name, text, err := license(m)
		switch {
		case err != nil:
			faults = append(faults, err)
		case texts:
			fmt.Fprintf(w, "%s\n%s\n%s\n\n", strings.TrimSpace(m.path+" "+m.version), strings.Repeat("-", 40), bytes.TrimSpace(text))
		default:
			fmt.Fprintf(w, "| %s | %s |\n", m.path, name)
		}
	}
	return errors.Join(append(faults, w.Flush())...)
}

// license finds a module's license, and all that its author wants kept with it.
func license(m module) (name string, text []byte, err error) {
	files, err := filepath.Glob(filepath.Join(m.dir, "*"))
	if err != nil {
		return "", nil, err
	}
	for _, f := range files {
		base := strings.ToUpper(filepath.Base(f))
		if !strings.HasPrefix(base, "LICENSE") && !strings.HasPrefix(base, "LICENCE") && !strings.HasPrefix(base, "COPYING") && !strings.HasPrefix(base, "NOTICE") {
			continue
		}
		content, err := os.ReadFile(f)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", m.path, err)
		}
		text = append(append(text, content...), '\n')
		if name == "" && !strings.HasPrefix(base, "NOTICE") {
			name = recognize(content)
		}
	}
	if name == "" {
		return "", nil, fmt.Errorf("%s %s: no license that is known here; read it, and add it to known if l4fwd may contain it", m.path, m.version)
	}
	return name, text, nil
}

// recognize names the licenses of a text, empty if none is known.
func recognize(text []byte) string {
	plain := strings.Join(strings.Fields(string(text)), " ")
	var names []string
	for _, k := range known {
		if k.name == "BSD-2-Clause" && slices.Contains(names, "BSD-3-Clause") {
			continue // the same words and one clause less
		}
		if !slices.ContainsFunc(k.words, func(word string) bool { return !strings.Contains(plain, word) }) {
			names = append(names, k.name)
		}
	}
	return strings.Join(names, " and ")
}
