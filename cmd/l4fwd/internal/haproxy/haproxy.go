// Package haproxy turns a haproxy.cfg in mode tcp into a configuration of l4fwd, and lists what it could not carry.
//
//	text ─► lines of words (words.go, read.go) ─► sections with their defaults (sections.go)
//	     ─► who may enter and where to, by trying every kind of client on the rules (decide.go)
//	     ─► listeners and upstreams ─► YAML (render.go)
//
// The language is HAProxy's own: quotes, escapes, environment variables, conditional blocks, named defaults. The reader follows
// the configuration manual of HAProxy 2.6. No library reads it: haproxytech/config-parser keeps no line numbers, expands no
// variables and judges no conditions.
//
// A client is refused rather than let in where the rules cannot be carried as they are, and a remark says so.
package haproxy

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
)

// Options is what Import needs. All fields are required.
type Options struct {
	File   string                              // its name in remarks; relative files of ACLs are also looked for beside it
	Text   []byte                              // what it holds
	Lookup func(name string) (string, bool)    // an environment variable
	Read   func(path string) ([]byte, error)   // a file that an ACL or a map names
	Server func(address string) (fault string) // what is wrong with HOST:PORT as the address of an upstream; "": nothing
}

// Result is what became of a haproxy.cfg.
type Result struct {
	YAML    []byte   // the configuration; nil if nothing could be carried
	Remarks []Remark // by file and line
}

// Remark is one directive that was changed or dropped.
type Remark struct {
	File    string
	Line    int
	Dropped bool   // it is not in the result at all
	Matters bool   // it changes routing, access or timeouts
	What    string // the directive, or a part of it
	Why     string // what l4fwd does instead, or what to do
}

// String is the remark as one line. warning: marks what does not change routing, access or timeouts.
func (r Remark) String() string {
	kind := "changed"
	if r.Dropped {
		kind = "dropped"
	}
	if !r.Matters {
		kind = "warning: " + kind
	}
	return fmt.Sprintf("%s:%d: %s: %s: %s", r.File, r.Line, kind, printable(r.What), printable(r.Why))
}

// Matters reports whether any remark changes routing, access or timeouts.
func (r *Result) Matters() bool {
	return slices.ContainsFunc(r.Remarks, func(m Remark) bool { return m.Matters })
}

// importer is one run of Import.
type importer struct {
	Options
	env       map[string]*string // set or unset by the file; nil: unset
	kept      []string           // the variables that resetenv left of Lookup's; nil: all
	remarks   []Remark
	said      map[string]bool // remarks, so that an inherited line is reported once
	global    *section
	defaults  *section            // the last ones read
	named     map[string]*section // defaults with a name
	resolvers map[string]*section
	proxies   []*proxy
	byName    map[string]*proxy // those that rules can name: backends and listens
	out       output
	work      int // evaluations left
}

// maxWork bounds the evaluations of rules, so that a hostile file ends in seconds. A file of a thousand names takes a hundredth.
const maxWork = 40_000_000

// Import reads the text. An error means that it could not be read: its text names file and line.
func Import(o Options) (*Result, error) {
	im := &importer{
		Options: o, env: map[string]*string{}, said: map[string]bool{}, named: map[string]*section{},
		resolvers: map[string]*section{}, byName: map[string]*proxy{}, work: maxWork,
	}
	if err := im.read(); err != nil {
		return nil, err
	}
	if err := im.translate(); err != nil {
		return nil, err
	}
	r := &Result{Remarks: im.remarks}
	slices.SortStableFunc(r.Remarks, func(a, b Remark) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.What, b.What))
	})
	if len(im.out.listeners) == 0 {
		return r, nil
	}
	var err error
	r.YAML, err = im.out.render(filepath.Base(o.File))
	return r, err
}

// maxRemarks bounds what a hostile file has reported.
const maxRemarks = 20_000

// remark notes what became of a directive, once.
func (im *importer) remark(at line, dropped, matters bool, what, why string) {
	if len(im.said) > maxRemarks {
		return
	}
	r := Remark{File: at.file, Line: at.n, Dropped: dropped, Matters: matters, What: what, Why: why}
	s := r.String()
	switch {
	case im.said[s]:
		return
	case len(im.said) == maxRemarks:
		r = Remark{File: at.file, Line: at.n, Dropped: true, Matters: true, What: "this line and others",
			Why: "there are too many to list: divide the file"}
		s = r.String()
	}
	im.said[s] = true
	im.remarks = append(im.remarks, r)
}

// dropped notes a directive that changes routing, access or timeouts, and is not carried.
func (im *importer) dropped(at line, what, why string) { im.remark(at, true, true, what, why) }

// changed notes a directive that is carried otherwise than it was meant.
func (im *importer) changed(at line, what, why string) { im.remark(at, false, true, what, why) }

// harmless notes a directive that is not carried and is not missed.
func (im *importer) harmless(at line, what, why string) { im.remark(at, true, false, what, why) }

// note notes a directive that is carried with a small difference.
func (im *importer) note(at line, what, why string) { im.remark(at, false, false, what, why) }
