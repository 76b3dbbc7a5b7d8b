package haproxy

import (
	"fmt"
	"slices"
	"strings"
)

// access is who may enter a listener and where each goes.
type access struct {
	regions  []region
	admitted map[string]bool // by the facts of a region
	kinds    []kind
	verdicts []verdict // by kind, for all that are admitted
}

// judge works out the access to a frontend at a port.
func (im *importer) judge(front *proxy, proxied bool, at uint16) (*access, error) {
	j := &judge{im, front, proxied}
	rules := j.reach()
	a := &access{regions: regionsOf(testsOf(rules, source)), kinds: kindsOf(testsOf(rules, sni))}
	for again := true; again; {
		table, ok := j.table(a, at)
		if !ok {
			return nil, fmt.Errorf("%s: the rules have more cases than can be tried: split the file", im.File)
		}
		again = im.unify(a, table)
	}
	for _, r := range rules {
		if r.fact != "" {
			im.dropped(r.at, r.at.text(), r.fact)
			r.fact = ""
		}
	}
	return a, nil
}

// table decides for every region and every kind, and notes which regions are admitted. It reports false if that is too much work.
func (j *judge) table(a *access, at uint16) (rows map[string][]verdict, ok bool) {
	rows = map[string][]verdict{}
	a.admitted = map[string]bool{}
	for _, r := range a.regions {
		if rows[r.facts] != nil {
			continue
		}
		row := make([]verdict, len(a.kinds))
		for i, k := range a.kinds {
			row[i] = j.decide(client{k, r.facts, at})
			if row[i].proxy != nil {
				a.admitted[r.facts] = true
			}
			if j.im.work < 0 {
				return nil, false
			}
		}
		rows[r.facts] = row
	}
	return rows, true
}

// unify finds one verdict for each kind of client, whatever address it comes from. again: a rule that sends clients elsewhere by
// their address was given up, and all must be judged anew.
func (im *importer) unify(a *access, table map[string][]verdict) (again bool) {
	a.verdicts = make([]verdict, len(a.kinds))
	for i, k := range a.kinds {
		var found []verdict
		for _, r := range a.regions {
			if v := table[r.facts][i]; a.admitted[r.facts] && !slices.ContainsFunc(found, func(f verdict) bool { return f.target == v.target }) {
				found = append(found, v)
			}
		}
		switch {
		case len(found) == 0:
		case len(found) == 1:
			a.verdicts[i] = found[0]
		case im.giveUp(found):
			return true
		default:
			im.refuseAll(k, found)
			a.verdicts[i] = verdict{at: found[0].at}
		}
	}
	return false
}

// giveUp drops the first rule that sends clients elsewhere by their address.
func (im *importer) giveUp(found []verdict) bool {
	if len(slices.DeleteFunc(slices.Clone(found), func(v verdict) bool { return v.proxy == nil })) < 2 {
		return false
	}
	for _, v := range found {
		if v.by != nil && v.by.verb == route && v.by.when.looksAt(source) {
			v.by.off = true
			im.dropped(v.by.at, v.by.at.text(), "l4fwd does not choose an upstream by the client's address")
			return true
		}
	}
	return false
}

// refuseAll reports clients that HAProxy lets in from some addresses only, and l4fwd from none.
func (im *importer) refuseAll(k kind, found []verdict) {
	at := found[0].at
	for _, v := range found {
		if v.proxy == nil && v.by != nil {
			at = v.at
		}
	}
	im.changed(at, strings.TrimSpace(at.text()), k.what+": refused from every address, since l4fwd judges addresses for a whole listener")
}
