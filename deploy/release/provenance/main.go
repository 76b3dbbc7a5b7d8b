// Command provenance writes an in-toto statement with SLSA provenance for the files of a release: what they are (by digest), what they
// were built from, and by whom.
//
//	provenance -version V -commit C -builder URI [-image NAME@sha256:DIGEST] [-parameter KEY=VALUE]... FILE...
//
// The same inputs give the same bytes. https://slsa.dev/spec/v1.0/provenance
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// source is where the project's code is.
const source = "https://github.com/l4fwd/l4fwd"

type (
	digest map[string]string

	// subject is one thing that was built.
	subject struct {
		Name   string `json:"name"`
		Digest digest `json:"digest"`
	}
	// material is one thing that it was built from.
	material struct {
		URI    string `json:"uri"`
		Digest digest `json:"digest,omitempty"`
	}
	statement struct {
		Type          string    `json:"_type"`
		Subject       []subject `json:"subject"`
		PredicateType string    `json:"predicateType"`
		Predicate     predicate `json:"predicate"`
	}
	predicate struct {
		BuildDefinition definition `json:"buildDefinition"`
		RunDetails      details    `json:"runDetails"`
	}
	definition struct {
		BuildType            string            `json:"buildType"`
		ExternalParameters   map[string]string `json:"externalParameters"`
		ResolvedDependencies []material        `json:"resolvedDependencies"`
	}
	details struct {
		Builder builder `json:"builder"`
	}
	builder struct {
		ID string `json:"id"`
	}
)

// request is what the flags say.
type request struct {
	version, commit, builder string
	image                    string // NAME@sha256:DIGEST, empty without one
	modules                  string // the file go.sum, which pins every module by its hash
	parameters               map[string]string
	files                    []string
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("provenance: ")
	r, err := parse(os.Args[1:])
	if err != nil {
		log.Fatal(err)
	}
	if err := r.write(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func parse(args []string) (request, error) {
	r := request{parameters: map[string]string{}}
	fs := flag.NewFlagSet("provenance", flag.ContinueOnError)
	fs.StringVar(&r.version, "version", "", "the release's `version`")
	fs.StringVar(&r.commit, "commit", "", "the `commit` it was built from")
	fs.StringVar(&r.builder, "builder", "", "the `URI` of who built it")
	fs.StringVar(&r.image, "image", "", "an image as `NAME@sha256:DIGEST`")
	fs.StringVar(&r.modules, "modules", "go.sum", "the `file` that pins the modules")
	fs.Func("parameter", "`KEY=VALUE` that the build was given", func(s string) error {
		key, value, found := strings.Cut(s, "=")
		if !found {
			return fmt.Errorf("%q is not KEY=VALUE", s)
		}
		r.parameters[key] = value
		return nil
	})
	if err := fs.Parse(args); err != nil {
		return r, err
	}
	r.files = fs.Args()
	if r.version == "" || r.commit == "" || r.builder == "" {
		return r, fmt.Errorf("-version, -commit and -builder are needed")
	}
	if len(r.files) == 0 && r.image == "" {
		return r, fmt.Errorf("name the files of the release, or an -image")
	}
	return r, nil
}

func (r request) write(w io.Writer) error {
	subjects, err := r.subjects()
	if err != nil {
		return err
	}
	modules, err := fileDigest(r.modules)
	if err != nil {
		return err
	}
	r.parameters["version"] = r.version
	s := statement{
		Type: "https://in-toto.io/Statement/v1", Subject: subjects, PredicateType: "https://slsa.dev/provenance/v1",
		Predicate: predicate{
			BuildDefinition: definition{
				BuildType:          source + "/blob/main/deploy/release/README.md#build",
				ExternalParameters: r.parameters,
				ResolvedDependencies: []material{
					{URI: "git+" + source, Digest: digest{"gitCommit": r.commit}},
					{URI: source + "/blob/" + r.commit + "/go.sum", Digest: modules},
					{URI: "https://go.dev/dl/#" + runtime.Version()},
				},
			},
			RunDetails: details{Builder: builder{ID: r.builder}},
		},
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

func (r request) subjects() ([]subject, error) {
	var list []subject
	for _, f := range r.files {
		d, err := fileDigest(f)
		if err != nil {
			return nil, err
		}
		list = append(list, subject{filepath.Base(f), d})
	}
	if r.image != "" {
		name, hash, found := strings.Cut(r.image, "@sha256:")
		if _, err := hex.DecodeString(hash); !found || err != nil || len(hash) != 2*sha256.Size {
			return nil, fmt.Errorf("-image %q is not NAME@sha256:DIGEST", r.image)
		}
		list = append(list, subject{name, digest{"sha256": hash}})
	}
	return list, nil
}

func fileDigest(name string) (digest, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return digest{"sha256": hex.EncodeToString(h.Sum(nil))}, nil
}
