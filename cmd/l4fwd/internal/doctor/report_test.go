package doctor

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// sample has a step of each state, with everything that a step can have.
func sample() Report {
	r := Report{Format: 1, Version: "1.2.3", Begun: time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC), Took: 1234.567, Steps: []Step{
		{Kind: Sysctls, State: Warning, Took: 0.188, Evidence: "9 of 10 settings are as recommended", Meaning: "net.core.somaxconn is 4096\nand one more line", Commands: []string{"sysctl -w net.core.somaxconn='65535'"}},
		{Kind: Clock, Subject: "against a.openai.azure.com", State: OK, Evidence: "0s ahead, to within 500ms"},
		{Kind: Name, Target: "a.openai.azure.com", Subject: "10.0.0.2:53", State: OK, Took: 12.5, Evidence: "A 192.0.2.1 (60 s, public)"},
		{Kind: HelloPieces, Target: "a.openai.azure.com:443", Subject: "192.0.2.1:443", State: OK, Took: 1500, Evidence: "a ClientHello in two segments passes"},
		{Kind: HTTPS, Target: "a.openai.azure.com:443", Subject: "192.0.2.1:443", State: Failed, Took: 80.25, Evidence: `403 Forbidden "Access denied due to Virtual Network/Firewall rules."`,
			Fault: "Azure firewall; 203.0.113.10 is not in the resource's rules", Meaning: "no rule has the address", Commands: []string{"az cognitiveservices account network-rule add --name a --ip-address 203.0.113.10", "l4fwd eip list && true"}},
		{Kind: Metadata, State: Skipped, Because: "no eip.pool is configured, so l4fwd asks nothing of AWS"},
	}}
	r.conclude()
	return r
}

// Programs read the JSON and people the text: both stay as they are. L4FWD_GOLDEN=write writes the files anew.
func TestReportIsStable(t *testing.T) {
	r := sample()
	var json, text, colour bytes.Buffer
	require.NoError(t, r.WriteJSON(&json))
	require.NoError(t, r.WriteText(&text, false))
	require.NoError(t, r.WriteText(&colour, true))
	for name, have := range map[string]*bytes.Buffer{"report.json": &json, "report.txt": &text} {
		path := filepath.Join("testdata", name)
		if os.Getenv("L4FWD_GOLDEN") == "write" {
			require.NoError(t, os.WriteFile(path, have.Bytes(), 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), have.String(), path)
	}
	require.Equal(t, text.String(), regexp.MustCompile(`\x1b\[\d*m`).ReplaceAllString(colour.String(), ""), "colour changes nothing else")
	require.Contains(t, colour.String(), "\x1b[31mfailed ")
}

func TestVerdictCountsWhatFollowsFromTheCause(t *testing.T) {
	for want, steps := range map[string][]Step{
		"no fault found: 1 step passed, 1 skipped":                             {{State: OK}, {State: Skipped}},
		"no fault found, 1 warning (target health): 0 steps passed, 0 skipped": {{Kind: TargetHealth, State: Warning}},
		"no fault found, 3 warnings (clock, name): 0 steps passed, 0 skipped":  {{Kind: Clock, State: Warning}, {Kind: Name, State: Warning}, {Kind: Name, State: Warning}},
		"broken at: x":                       {{Kind: HTTPS, State: Failed, Fault: "x"}, {State: Warning}},
		"broken at: x (1 more step failed)":  {{Kind: HTTPS, State: Failed, Fault: "y"}, {Kind: Connect, State: Failed, Fault: "x"}},
		"broken at: x (2 more steps failed)": {{Kind: HTTPS, State: Failed, Fault: "y"}, {Kind: Certificate, State: Failed, Fault: "z"}, {Kind: Clock, State: Failed, Fault: "x"}},
	} {
		r := Report{Steps: steps}
		r.conclude()
		require.Equal(t, want, r.Verdict)
		require.Equal(t, strings.HasPrefix(want, "no fault"), r.OK)
	}
}

// The description of the JSON has every field, kind and state.
func TestDocumentDescribesTheJSON(t *testing.T) {
	b, err := os.ReadFile("../../../../docs/DOCTOR.md")
	require.NoError(t, err)
	doc := string(b)
	for _, of := range []reflect.Type{reflect.TypeFor[Report](), reflect.TypeFor[Step]()} {
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			require.Contains(t, doc, "| `"+name+"` |")
		}
	}
	for _, k := range causes {
		require.Contains(t, doc, "| `"+string(k)+"` |")
	}
	for _, s := range []State{OK, Warning, Failed, Skipped} {
		require.Contains(t, doc, "`"+string(s)+"`")
	}
}

// What the doctor recommends is what the packages set, so that installing them ends the warning.
func TestRecommendedSysctlsAreThoseOfThePackages(t *testing.T) {
	b, err := os.ReadFile("../../../../deploy/systemd/sysctl.d/60-l4fwd.conf")
	require.NoError(t, err)
	var file, own []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			file = append(file, line)
		}
	}
	for _, s := range Recommended {
		own = append(own, s.Name+" = "+s.Value)
		require.True(t, s.meets(s.Value), s.Name)
		require.NotEmpty(t, s.Why)
	}
	require.ElementsMatch(t, file, own)
}

// The steps that wait for each other end before the whole does, and the whole before half a minute is over.
func TestTimesOfTheStepsFitIntoTheWhole(t *testing.T) {
	pieces := helloTime + againTime
	require.LessOrEqual(t, nameTime+connectTime+max(pieces, helloTime+answerTime)+egressTime, wholeTime)
	require.LessOrEqual(t, wholeTime, 29*time.Second)
}

// A step that measures itself keeps its time; the others have that of all they did.
func TestTheTimeOfAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := func(context.Context, *Step) { time.Sleep(20 * time.Millisecond) }
		require.Equal(t, Step{Kind: Name, State: OK, Took: 20}, measure(t.Context(), time.Second, Step{Kind: Name}, work))
		own := measure(t.Context(), time.Second, Step{}, func(ctx context.Context, s *Step) { work(ctx, s); s.Took = 7.5 })
		require.Equal(t, 7.5, own.Took)
		given := measure(t.Context(), time.Second, Step{}, func(ctx context.Context, _ *Step) { <-ctx.Done() })
		require.Equal(t, 1000.0, given.Took, "it ends with its time")
	})
}

// The column of titles is as wide as the widest of 44 letters at most: a longer one pushes only its own line out.
func TestTheColumnOfTitles(t *testing.T) {
	title := func(n int) Step { return Step{Kind: Name, Target: strings.Repeat("x", n-len("name "))} }
	require.Equal(t, 44, Report{Steps: []Step{title(20), title(44), title(45)}}.titleWidth())
	require.Equal(t, 20, Report{Steps: []Step{title(20), title(45)}}.titleWidth())
	for took, want := range map[float64]string{0: "        ", 0.4: "    0 ms", 999: "  999 ms", 1000: "   1.0 s", 25_400: "  25.4 s"} {
		require.Equal(t, want, Step{Took: took}.took())
	}
}
