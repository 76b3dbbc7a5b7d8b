package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAFaultIsOneLine(t *testing.T) {
	file := origin{file: "c.yaml", line: 3}
	for want, f := range map[string]*Fault{
		"c.yaml:3: log.level: is wrong; write it right": {Where: file, Key: "log.level", What: "is wrong", Allowed: "write it right"},
		"c.yaml:3: is wrong":                            {Where: file, What: "is wrong"},
		"c.yaml: is wrong":                              {Where: origin{file: "c.yaml"}, What: "is wrong"},
		"flag --loops: is wrong":                        {Where: origin{name: "flag --loops"}, Key: "loops", What: "is wrong"},
		"L4FWD_LOOPS: is wrong":                         {Where: origin{name: "L4FWD_LOOPS"}, Key: "loops", What: "is wrong"},
		"loops: is wrong":                               {Key: "loops", What: "is wrong"},
		"is wrong; in two lines":                        {What: "is wrong", Allowed: "in two\nlines"},
	} {
		require.Equal(t, want, f.Error())
	}
}

// Flags and variables first, then the file by its lines; what was found first of a line comes first.
func TestFaultsAreSorted(t *testing.T) {
	at := func(line int, what string) *Fault {
		return &Fault{Where: origin{file: "c.yaml", line: line}, What: what}
	}
	all := Faults{at(9, "d"), at(2, "b"), {Where: origin{name: "flag --x"}, What: "a"}, at(2, "c"), {What: "w", Where: origin{name: "L4FWD_X"}, Warning: true}}
	var b strings.Builder
	all.Print(&b)
	require.Equal(t, "l4fwd: flag --x: a\nl4fwd: warning: L4FWD_X: w\nc.yaml:2: b\nc.yaml:2: c\nc.yaml:9: d\n", b.String())
	require.Equal(t, "d", all[0].What, "the list itself stays as it was")
}

func TestWarningsAreNotBad(t *testing.T) {
	require.False(t, Faults(nil).Bad())
	require.False(t, Faults{{Warning: true}}.Bad())
	require.True(t, Faults{{Warning: true}, {}}.Bad())
}

func TestAnyErrorCanBeAFault(t *testing.T) {
	f := fault("%q is wrong", "write it right: 100%", "x")
	require.Equal(t, `"x" is wrong; write it right: 100%`, f.Error())
	require.Same(t, f, asFault(fmt.Errorf("around: %w", f)))
	require.Equal(t, &Fault{What: "plain"}, asFault(errors.New("plain")))
}

func TestAReportKnowsWhatWasGiven(t *testing.T) {
	r := newReport()
	r.origins["log.level"] = origin{file: "c.yaml", line: 3}
	r.spelled["listeners[0].address"] = "listen[0]"
	require.True(t, r.given("log.level"))
	require.False(t, r.given("log"))
	require.Equal(t, "listen[0]", r.spelling("listeners[0].address"))
	require.Equal(t, "loops", r.spelling("loops"))

	r.warn("log.level", "is unusual", "")
	require.False(t, r.complained("log"), "a warning is no complaint")
	r.add("log.level", errors.New("is wrong"))
	require.True(t, r.complained("log"))
	require.True(t, r.complained("log.level"))
	require.False(t, r.complained("log.level.x"))
	r.add("listeners[0].address", errors.New("is wrong"))
	require.True(t, r.complained("listen[0]"), "by the key that was written")
	require.Equal(t, "c.yaml:3: log.level: is unusual", r.all()[0].Error())
	require.Equal(t, "c.yaml:3: log.level: is wrong", r.all()[1].Error())
	require.Equal(t, "listen[0]: is wrong", r.all()[2].Error())
}

// The warnings that fill a report leave room for faults.
func TestAReportKeepsAThousandOfEach(t *testing.T) {
	r := newReport()
	for range maxFaults + 5 {
		r.warn("x", "is unusual", "")
	}
	require.Len(t, r.all(), maxFaults)
	require.False(t, r.full())
	for range maxFaults {
		r.add("x", errors.New("is wrong"))
	}
	require.False(t, r.full())
	require.Len(t, r.all(), 2*maxFaults)
	r.add("x", errors.New("is wrong"))
	require.True(t, r.full())
	require.Len(t, r.all(), 2*maxFaults+1)
	require.Equal(t, "there are more faults than these 1000; correct these first", r.all()[2*maxFaults].Error())
}
