package config

import (
	"strconv"
	"strings"
	"unicode"
)

// badHostName says what is wrong with a DNS name; empty if nothing is.
func badHostName(name string) string {
	name = strings.TrimSuffix(name, ".")
	if name == "" {
		return "the host is empty"
	}
	if len(name) > 253 {
		return "the host is longer than 253 characters"
	}
	for _, label := range strings.Split(name, ".") {
		if fault := badLabel(label); fault != "" {
			return fault
		}
	}
	for _, r := range name {
		if r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "the host has a character " + strconv.QuoteRune(r)
		}
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.Trim(last, "0123456789") == "" {
		return "the host is neither an IP address nor a DNS name"
	}
	return ""
}

// badLabel says what is wrong with a part of a DNS name; empty if nothing is.
func badLabel(label string) string {
	switch {
	case label == "":
		return "the host has two dots in a row"
	case len(label) > 63:
		return "a part of the host is longer than 63 characters"
	case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
		return "a part of the host begins or ends with a dash"
	}
	return ""
}

// placeholderIn returns the part of a host that stands for a name that only the reader of an example knows, such as
// NAME.openai.azure.com, <name>.example or your-resource.example; empty if there is none.
func placeholderIn(host string) string {
	if i := strings.IndexAny(host, "<{$"); i >= 0 {
		if j := strings.LastIndexAny(host, ">}"); j > i {
			return host[i : j+1]
		}
		return host[i:]
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		lower := strings.ToLower(label)
		if strings.HasPrefix(lower, "your-") || strings.HasPrefix(lower, "your_") {
			return label
		}
		if shouted(label) && strings.ContainsFunc(host, unicode.IsLower) {
			return label
		}
	}
	if len(labels) == 1 && (host == "HOST" || host == "NAME") {
		return host
	}
	return ""
}

// shouted reports whether a label of a host is written in capitals, as placeholders are. DNS makes no difference, so a
// real name can always be written in small letters.
func shouted(label string) bool {
	letters := 0
	for _, r := range label {
		switch {
		case r >= 'A' && r <= 'Z':
			letters++
		case r != '-' && r != '_':
			return false
		}
	}
	return letters >= 3
}
