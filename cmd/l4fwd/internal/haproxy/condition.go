package haproxy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// assumedVersion is the HAProxy that conditions on the version are judged for.
var assumedVersion = []int{3, 2, 0}

// condition judges what follows .if or .elif.
func (im *importer) condition(at line) (bool, error) {
	text := strings.TrimSpace(strings.Join(at.words[1:], " "))
	if text == "" {
		return false, nil
	}
	p := &conditionParser{im: im, at: at, rest: text}
	on, err := p.or(0)
	if err == nil && strings.TrimSpace(p.rest) != "" {
		err = fmt.Errorf("%q is left over", p.rest)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", at.text(), err)
	}
	return on, nil
}

// conditionParser reads an expression from its beginning. Both sides of an operator are always read.
type conditionParser struct {
	im   *importer
	at   line
	rest string
}

// or reads A || B.
func (p *conditionParser) or(depth int) (bool, error) { return p.chain("||", depth, p.and) }

// and reads A && B.
func (p *conditionParser) and(depth int) (bool, error) { return p.chain("&&", depth, p.term) }

// chain reads operands with an operator between them.
func (p *conditionParser) chain(operator string, depth int, operand func(int) (bool, error)) (bool, error) {
	if depth > maxDepth {
		return false, errors.New("too many parentheses")
	}
	value, err := operand(depth)
	for err == nil {
		p.rest = strings.TrimLeft(p.rest, " \t")
		next, found := strings.CutPrefix(p.rest, operator)
		if !found {
			return value, nil
		}
		p.rest = next
		var other bool
		other, err = operand(depth)
		if operator == "||" {
			value = value || other
		} else {
			value = value && other
		}
	}
	return false, err
}

// term reads a number, a predicate, an expression in parentheses, or the negation of one.
func (p *conditionParser) term(depth int) (bool, error) {
	negated := false
	for p.rest = strings.TrimLeft(p.rest, " \t"); strings.HasPrefix(p.rest, "!"); p.rest = strings.TrimLeft(p.rest[1:], " \t") {
		negated = !negated
	}
	var value bool
	var err error
	if inner, ok := strings.CutPrefix(p.rest, "("); ok {
		p.rest = inner
		if value, err = p.or(depth + 1); err != nil {
			return false, err
		}
		p.rest = strings.TrimLeft(p.rest, " \t")
		if p.rest, ok = strings.CutPrefix(p.rest, ")"); !ok {
			return false, errors.New("a parenthesis is not closed")
		}
	} else if value, err = p.predicate(); err != nil {
		return false, err
	}
	return value != negated, nil
}

// predicate reads a number, or NAME(ARGUMENTS).
func (p *conditionParser) predicate() (bool, error) {
	n := 0
	for n < len(p.rest) && (isNameByte(p.rest[n]) || p.rest[n] == '-') {
		n++
	}
	name := p.rest[:n]
	p.rest = p.rest[n:]
	inner, call := strings.CutPrefix(p.rest, "(")
	if !call {
		number, err := strconv.Atoi(name)
		if err != nil {
			return false, fmt.Errorf("%q is neither a number nor a predicate", name)
		}
		return number != 0, nil
	}
	arguments, rest, closed := strings.Cut(inner, ")")
	if !closed {
		return false, errors.New("a parenthesis is not closed")
	}
	p.rest = rest
	return p.judge(name, strings.Split(arguments, ","))
}

// judge is the value of a predicate.
func (p *conditionParser) judge(name string, args []string) (bool, error) {
	for i := range args {
		args[i] = strings.Trim(strings.TrimSpace(args[i]), `"'`)
	}
	two := func() string {
		if len(args) < 2 {
			return ""
		}
		return args[1]
	}
	switch name {
	case "defined":
		_, set := p.im.variable(args[0], p.at.n, newSection("", "", p.at))
		return set, nil
	case "streq":
		return args[0] == two(), nil
	case "strneq":
		return args[0] != two(), nil
	case "strstr":
		return strings.Contains(args[0], two()), nil
	case "feature", "enabled":
		p.im.note(p.at, p.at.text(), name+"("+args[0]+") is taken for true")
		return true, nil
	case "version_atleast", "version_before", "openssl_version_atleast", "openssl_version_before", "awslc_api_atleast", "awslc_api_before":
		p.im.note(p.at, p.at.text(), "it is judged for HAProxy 3.2")
		return newerOrSame(assumedVersion, args[0]) == strings.HasSuffix(name, "atleast"), nil
	}
	return false, fmt.Errorf("unknown predicate %q", name)
}

// newerOrSame reports whether have is at least the version that is written as 2.4-dev19 or 2.4.1.
func newerOrSame(have []int, wanted string) bool {
	wanted, _, _ = strings.Cut(wanted, "-")
	for i, part := range strings.SplitN(wanted, ".", 3) {
		n, _ := strconv.Atoi(part)
		if have[i] != n {
			return have[i] > n
		}
	}
	return true
}
