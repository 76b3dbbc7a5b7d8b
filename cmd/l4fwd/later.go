package main

import "strings"

// laterKeys are the keys of the interface that this version does not have yet, by path with [] for a list, and the
// keys below them. Whoever implements one deletes its row and adds the field to Config.
var laterKeys = []string{
	"upstreams[].warm",
}

// laterFlags are the flags of the interface that this version does not have yet.
var laterFlags = []struct{ name, arg string }{
	{"warm", "N"},
}

// laterVerbs are the verbs of the interface that this version does not have yet.
var laterVerbs = []string{"conns", "doctor", "top", "upgrade"}

const notYet = "is not supported by this version yet"

// isLater reports whether path, such as upstreams[2].check, is a key of a later version.
func isLater(path string) bool {
	pattern := indexless(path)
	for _, k := range laterKeys {
		if pattern == k {
			return true
		}
	}
	return false
}

// indexless replaces the indices of a path: listeners[3].name becomes listeners[].name.
func indexless(path string) string {
	var b strings.Builder
	for rest := path; ; {
		open := strings.IndexByte(rest, '[')
		if open < 0 {
			b.WriteString(rest)
			return b.String()
		}
		end := strings.IndexByte(rest[open:], ']')
		if end < 0 {
			b.WriteString(rest)
			return b.String()
		}
		b.WriteString(rest[:open] + "[]")
		rest = rest[open+end+1:]
	}
}
