package main

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
)

// acceptedList holds the survivors that are right to live: the names of their faults, by package. A line of the file reads
//
//	PACKAGE FAULT # REASON
//
// with the fault as it is printed for a survivor, without the line number. Empty lines and lines that begin with # say nothing.
type acceptedList map[string][]string

func readAccepted(path string) (acceptedList, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	list := acceptedList{}
	s := bufio.NewScanner(file)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fault, reason, _ := strings.Cut(line, " # ")
		pkg, name, ok := strings.Cut(fault, " ")
		if !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("%s:%d: write PACKAGE FAULT # REASON", path, n)
		}
		list[pkg] = append(list[pkg], strings.TrimSpace(name))
	}
	return list, s.Err()
}

func (l acceptedList) accepts(pkg, fault string) bool { return slices.Contains(l[pkg], fault) }

// stale returns the entries of a package that match none of its faults: the code has changed.
func (l acceptedList) stale(pkg string, faults []*fault) []string {
	var gone []string
	for _, name := range l[pkg] {
		if !slices.ContainsFunc(faults, func(f *fault) bool { return f.name() == name }) {
			gone = append(gone, name)
		}
	}
	return gone
}
