package eip

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Selector decides which addresses belong to the pool. The zero value selects none.
type Selector struct {
	key, value  string // of a tag
	anyValue    bool
	allocations []string
}

const selectorForms = "write tag:KEY=VALUE, tag-key:KEY, or eipalloc-… ids with commas between"

var allocationID = regexp.MustCompile(`^eipalloc-[0-9a-f]{8,17}$`)

// EC2's limits for a tag, in characters.
const maxTagKey, maxTagValue = 128, 256

// ParseSelector parses `tag:KEY=VALUE`, `tag-key:KEY` or a comma-separated list of allocation ids. Its error says what to write. An
// empty text is an error too: a caller that allows no pool checks for it first.
func ParseSelector(text string) (Selector, error) {
	if tag, ok := strings.CutPrefix(text, "tag:"); ok {
		key, value, ok := strings.Cut(tag, "=")
		if !ok {
			return Selector{}, fmt.Errorf("%q has no value; write tag:%s=VALUE, or tag-key:%s for any value", text, tag, tag)
		}
		return Selector{key: key, value: value}, checkTag(text, key, value)
	}
	if key, ok := strings.CutPrefix(text, "tag-key:"); ok {
		return Selector{key: key, anyValue: true}, checkTag(text, key, "")
	}
	var ids []string
	for _, id := range strings.Split(text, ",") {
		id = strings.TrimSpace(id)
		switch {
		case !allocationID.MatchString(id) && strings.Contains(id, "=") && !strings.Contains(text, ","):
			return Selector{}, fmt.Errorf("%q selects no addresses, did you mean tag:%s?; %s", text, text[strings.LastIndex(text, ":")+1:], selectorForms)
		case !allocationID.MatchString(id):
			return Selector{}, fmt.Errorf("%q selects no addresses: %q is no allocation id; %s", text, id, selectorForms)
		case slices.Contains(ids, id):
			return Selector{}, fmt.Errorf("%q names %s twice", text, id)
		}
		ids = append(ids, id)
	}
	return Selector{allocations: ids}, nil
}

// checkTag returns an error for a key or value that no tag can have. text is the whole selector.
func checkTag(text, key, value string) error {
	switch {
	case key == "":
		return fmt.Errorf("%q has no tag key; %s", text, selectorForms)
	case len([]rune(key)) > maxTagKey:
		return fmt.Errorf("the tag key has more than %d characters", maxTagKey)
	case len([]rune(value)) > maxTagValue:
		return fmt.Errorf("the tag value has more than %d characters", maxTagValue)
	case strings.TrimSpace(key) != key:
		return fmt.Errorf("%q has a space around its tag key; %s", text, selectorForms)
	case strings.ContainsAny(value, "*?"):
		return fmt.Errorf("%q has a wildcard, and values are compared as they are; use tag-key:%s for any value", text, key)
	}
	return nil
}

// String returns the selector in the form that ParseSelector reads; empty for the zero value.
func (s Selector) String() string {
	switch {
	case s.anyValue:
		return "tag-key:" + s.key
	case s.key != "":
		return "tag:" + s.key + "=" + s.value
	}
	return strings.Join(s.allocations, ",")
}

// Matches reports whether the address belongs to the pool.
func (s Selector) Matches(a Address) bool {
	if s.key == "" {
		return slices.Contains(s.allocations, a.Allocation)
	}
	value, tagged := a.Tags[s.key]
	return tagged && (s.anyValue || value == s.value)
}

// missing returns the allocation ids of the selector that are not in all.
func (s Selector) missing(all []Address) []string {
	var gone []string
	for _, id := range s.allocations {
		if !slices.ContainsFunc(all, func(a Address) bool { return a.Allocation == id }) {
			gone = append(gone, id)
		}
	}
	return gone
}
