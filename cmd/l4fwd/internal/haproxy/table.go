package haproxy

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// maxList bounds a file that an ACL or a map names, in lines.
const maxList = 200_000

// list reads the values of a file that an ACL names.
func (im *importer) list(at line, path string) ([]string, error) {
	text, err := im.beside(path)
	if strings.HasPrefix(path, "opt@") && errors.Is(err, fs.ErrNotExist) {
		return nil, nil // HAProxy takes it as an empty one
	}
	if err != nil {
		return nil, fmt.Errorf("l4fwd cannot read %s: %s", printable(path), printable(err.Error()))
	}
	var all []string
	for l := range strings.Lines(string(text)) {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		if all = append(all, l); len(all) > maxList {
			return nil, fmt.Errorf("%s has more than %d values", printable(path), maxList)
		}
	}
	return all, nil
}

// firstColumn cuts a line of a map at its first space or tab.
func firstColumn(l string) (key, rest string) {
	if i := strings.IndexAny(l, " \t"); i >= 0 {
		return l[:i], l[i:]
	}
	return l, ""
}

// beside reads a file by its name, or beside the haproxy.cfg.
func (im *importer) beside(path string) ([]byte, error) {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "opt@"), "file@")
	text, err := im.Read(path)
	if err != nil && !filepath.IsAbs(path) {
		if other, e := im.Read(filepath.Join(filepath.Dir(im.File), path)); e == nil {
			return other, nil
		}
	}
	return text, err
}

// byTable turns use_backend %[req.ssl_sni,lower,map(FILE,DEFAULT)] into a rule for each entry of the map, and PREFIX%[req.ssl_sni]
// into one for each backend that the expression can name. fault says why it cannot be carried.
func (im *importer) byTable(at line, to string, when condition) (rules []*rule, fault string) {
	prefix, rest, _ := strings.Cut(to, "%[")
	inner, suffix, closed := strings.Cut(rest, "]")
	c := parseCriterion(inner)
	if !closed || strings.Contains(suffix, "%[") || c.fetch != "req.ssl_sni" && c.fetch != "req_ssl_sni" {
		return nil, "l4fwd chooses an upstream by the name in the ClientHello only"
	}
	converters := slices.DeleteFunc(c.converters, func(s string) bool { return s == "lower" })
	add := func(method, name, backend string) {
		t := (&test{at: at}).nameTest(criterion{fetch: c.fetch}, aclFlags{method}, []pattern{{text: name, fold: true}})
		rules = append(rules, &rule{at: at, verb: route, to: prefix + backend + suffix, when: when.and(t), layer: "use_backend"})
	}
	switch {
	case len(converters) == 0:
		for name := range im.byName {
			if inside, ok := strings.CutPrefix(name, prefix); ok {
				if inside, ok = strings.CutSuffix(inside, suffix); ok {
					add("str", inside, inside)
				}
			}
		}
		slices.SortFunc(rules, func(a, b *rule) int { return strings.Compare(a.to, b.to) })
		return rules, ""
	case len(converters) == 1:
		fault = im.byMap(converters[0], add, func(backend string) {
			rules = append(rules, &rule{at: at, verb: route, to: prefix + backend + suffix, when: when, layer: "use_backend"})
		})
		return rules, fault
	}
	return nil, "l4fwd does not convert the name"
}

// byMap reads map(FILE,DEFAULT) and its kin, and calls add for each entry and other for the default.
func (im *importer) byMap(converter string, add func(method, name, backend string), other func(string)) (fault string) {
	name, arguments, _ := strings.Cut(strings.TrimSuffix(converter, ")"), "(")
	method, ok := map[string]string{"map": "str", "map_str": "str", "map_end": "end", "map_dom": "dom"}[name]
	if !ok {
		return "l4fwd does not convert the name by " + printable(name)
	}
	path, fallback, hasDefault := strings.Cut(arguments, ",")
	lines, err := im.list(line{}, path)
	if err != nil {
		return err.Error()
	}
	for _, l := range lines {
		key, value := firstColumn(l)
		add(method, key, strings.TrimSpace(value))
	}
	if hasDefault {
		other(strings.TrimSpace(fallback))
	}
	return ""
}

// and is the condition with a test that must match as well.
func (c condition) and(t *test) condition {
	one := term{tests: []*test{t}}
	if len(c.any) == 0 {
		return condition{any: [][]term{{one}}}
	}
	if c.unless { // not (a or b), and t: each must fail
		and := []term{one}
		for _, all := range c.any {
			if len(all) != 1 {
				return condition{any: [][]term{{{tests: []*test{(&test{at: t.at}).cannot("the condition is too involved beside a map")}}}}}
			}
			and = append(and, term{negated: !all[0].negated, tests: all[0].tests})
		}
		return condition{any: [][]term{and}}
	}
	var out condition
	for _, all := range c.any {
		out.any = append(out.any, append(slices.Clone(all), one))
	}
	return out
}
