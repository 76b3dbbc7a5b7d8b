package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/l4fwd/l4fwd/eip"
)

// kinds are the meanings of texts, by the tag kind: each returns what is wrong with one.
var kinds = map[string]func(string) error{
	"hostport": func(s string) error { _, _, err := ParseHostPort(s); return err },
	"listen":   func(s string) error { _, err := ParseListen(s); return err },
	"resolver": func(s string) error { _, err := ParseResolver(s); return err },
	"service":  func(s string) error { _, err := ParseService(s); return err },
	"admin":    func(s string) error { _, err := ParseAdmin(s); return err },
	"source":   checkSource,
	"removed":  func(s string) error { _, err := ParseRemoved(s); return err },
	"name":     checkName,
	"cidr":     checkCIDR,
	"vpce":     checkEndpoint,
	"sni":      checkPattern,
	"pool":     checkPool,
}

// parse turns a text, from a flag, a variable or the file, into the key's value. The error is a *Fault without place.
// For a list it is one element.
func (k *key) parse(text string) (any, error) {
	switch {
	case k.typ == reflect.TypeFor[Duration]():
		d, err := parseDuration(text)
		if err != nil {
			return nil, k.withRange(err)
		}
		return d, k.checkDuration(d)
	case k.typ.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fault("%q is not a whole number", "write a number from "+k.min+" to "+k.max, text)
		}
		return n, k.checkInt(n)
	case k.typ.Kind() == reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fault("%q is neither true nor false", "write true or false", text)
		}
		return b, nil
	}
	return text, k.checkText(text)
}

func (k *key) checkText(text string) error {
	if len(k.allowed) > 0 && !slices.Contains(k.allowed, text) {
		hint := ""
		if near := Nearest(text, k.allowed); near != "" {
			hint = fmt.Sprintf(", did you mean %s?", near)
		}
		return fault("%q is not a choice%s", "use one of "+k.choices(), text, hint)
	}
	if check := kinds[k.kind]; check != nil {
		return check(text)
	}
	return nil
}

// choices lists the allowed values.
func (k *key) choices() string {
	var have []string
	for _, a := range k.allowed {
		if a == "" {
			a = `""`
		}
		have = append(have, a)
	}
	return strings.Join(have, ", ")
}

func (k *key) checkInt(n int) error {
	low, _ := strconv.Atoi(k.min)
	high, _ := strconv.Atoi(k.max)
	if n < low || n > high {
		return fault("%d is out of range", "write a number from "+k.min+" to "+k.max, n)
	}
	return nil
}

// withRange adds the range to what is wrong with a duration, so that the next attempt need not be the last but one.
func (k *key) withRange(err error) error {
	f := *err.(*Fault)
	between := "a duration from " + k.min + " to " + k.max
	low, _ := parseDuration(k.min)
	switch {
	case f.Allowed == "", f.Allowed == writeZero && low > 0:
		f.Allowed = "write " + between
	default:
		f.Allowed += "; " + between
	}
	return &f
}

func (k *key) checkDuration(d Duration) error {
	low, _ := parseDuration(k.min)
	high, _ := parseDuration(k.max)
	switch {
	case d < 0:
		return fault("%s is negative", "write a duration from "+k.min+" to "+k.max, d)
	case d < low || d > high:
		return fault("%s is out of range", "write a duration from "+k.min+" to "+k.max, d)
	}
	return nil
}

// maxName is the length of a name in bytes. Names that are made from an address may be as long as a host name.
const maxName = 253

func checkName(s string) error {
	const allowed = "use letters, digits and . _ - : * [ ] %%, at most 253 of them"
	switch {
	case s == "":
		return fault("the name is empty", allowed)
	case len(s) > maxName:
		return fault("the name is %d characters long", allowed, len(s))
	}
	for _, r := range s {
		if !strings.ContainsRune("._-:*[]%", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return fault("the name %q has a character %q", allowed, s, r)
		}
	}
	return nil
}

// checkPool allows the empty text: no pool.
func checkPool(s string) error {
	if s == "" {
		return nil
	}
	if _, err := eip.ParseSelector(s); err != nil {
		what, allowed, said := strings.Cut(err.Error(), "; ")
		if !said {
			allowed = "write tag:KEY=VALUE, tag-key:KEY, or eipalloc-… ids with commas between"
		}
		return fault("%s", allowed, what)
	}
	return nil
}

// split cuts a list as flags and variables write it: at commas, without the space around.
func split(text string) []string {
	var all []string
	for _, s := range strings.Split(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}
