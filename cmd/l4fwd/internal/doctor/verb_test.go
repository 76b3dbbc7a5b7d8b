package doctor_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/doctor"
)

// The report for programs is that for people: verdict, states, exit status.
func TestJSONIsTheSameReport(t *testing.T) {
	t.Parallel()
	for _, deny := range []bool{false, true} {
		_, s := origin(t, standin.Options{Deny: deny})
		text, err := s.run("doctor")
		require.NoError(t, err)
		data, err := s.run("doctor", "--output", "json")
		require.NoError(t, err)
		require.Empty(t, data.stderr)

		var r doctor.Report
		dec := json.NewDecoder(strings.NewReader(data.stdout))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&r), data.stdout)
		require.Equal(t, 1, r.Format)
		require.Equal(t, !deny, r.OK)
		require.Equal(t, deny, data.code == 1)
		require.Equal(t, text.code, data.code)
		place, _, _ := strings.Cut(r.Verdict, ":") // a busy machine adds warnings
		place, _, _ = strings.Cut(place, ",")
		require.True(t, strings.HasPrefix(text.stdout, place), text.stdout)
		require.Equal(t, map[bool]string{false: "no fault found", true: "broken at"}[deny], place)
		for _, step := range r.Steps {
			require.Contains(t, text.stdout, strings.ReplaceAll(string(step.Kind), "_", " "))
			require.Equal(t, step.State == doctor.Failed, step.Fault != "")
			require.Equal(t, step.State == doctor.Skipped, step.Because != "")
		}
	}
}

// Bad flags end with status 2 and one line, and nothing is tested.
func TestBadFlagsOfTheDoctor(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		`flag --expect: "secret" is not a choice; use one of public, private, unreachable`: {"--target", "a.example:443", "--expect", "secret"},
		"flag --target: ":        {"--target", "a.example"},
		"flag --through: ":       {"--target", "a.example:443", "--through", "x"},
		`flag --egress-url: "x"`: {"--target", "a.example:443", "--egress-url", "x"},
		"no upstream: name what to test with --target HOST:PORT": {"--expect", "public"},
		`flag --output: "xml" is not a ch`:                       {"--target", "a.example:443", "--output", "xml"},
	} {
		o, err := setup{args: args}.run("doctor")
		require.NoError(t, err)
		require.Equal(t, 2, o.code, says)
		require.Empty(t, o.stdout)
		require.Contains(t, o.stderr, says)
		require.Equal(t, 1, strings.Count(o.stderr, "\n"), o.stderr)
	}
}
