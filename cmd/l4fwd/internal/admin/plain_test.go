package admin

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy"
)

// terminalTricks is a name that clears the screen, sets the title, turns the text around, and ends the line.
const terminalTricks = "a\x1b[2J\x1b]0;owned\x07\u009b31m\u202eb\u2066\x7f\nc\U000e0001"

// requirePrintable fails if a terminal would act on a text.
func requirePrintable(t *testing.T, text string) {
	t.Helper()
	for _, r := range strings.ReplaceAll(text, "\n", "") {
		require.True(t, unicode.IsPrint(r), "%q in %q", r, text)
	}
}

// A name that a client has chosen cannot act on the terminal of who lists connections, in the table or in the JSON, whose meaning
// stays.
func TestANameOfAClientCannotActOnTheTerminal(t *testing.T) {
	d := newFake()
	d.conns = []proxy.Connection{{ID: 1, SNI: terminalTricks, VPCE: terminalTricks, Upstream: terminalTricks, Listener: terminalTricks, State: "relaying", Stalls: "none"}}
	h, l := handlerOf(d)
	w := ask(h, "GET", "/api/v1/conns", "localhost")
	defer l.forget.Stop()
	requirePrintable(t, w.Body.String())
	list := decoded[ConnList](t, w)
	require.Equal(t, terminalTricks, list.Conns[0].SNI)

	var table strings.Builder
	WriteConns(&table, list, 0)
	requirePrintable(t, table.String())
	require.Equal(t, 3, strings.Count(table.String(), "\n"), "a heading, a row and the sum")

	table.Reset()
	WriteAddresses(&table, AddressList{[]AddressRow{{Upstream: terminalTricks, AddressStatus: proxy.AddressStatus{Why: terminalTricks}}}})
	requirePrintable(t, table.String())
	require.Equal(t, 2, strings.Count(table.String(), "\n"))
}

func TestTheStateCannotActOnTheTerminal(t *testing.T) {
	s := newFake().state
	s.Ready = false
	s.Conditions[1] = ConditionState{"upstream", false, terminalTricks}
	s.Config.Faults = []string{terminalTricks}
	s.Proxy.Upstreams[0].DNSError, s.Proxy.Upstreams[0].Name = terminalTricks, terminalTricks
	requirePrintable(t, text(s))

	d := newFake()
	d.state = s
	w := ask(NewHandler(d, loopback, zap.NewNop()), "GET", "/api/v1/state", "localhost")
	requirePrintable(t, w.Body.String())
	var back State
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &back))
	require.Equal(t, terminalTricks, back.Config.Faults[0])
}

// An error of the API may quote what the caller sent.
func TestAnErrorCannotActOnTheTerminal(t *testing.T) {
	w := httptest.NewRecorder()
	failed(w, 400, errorText(terminalTricks))
	requirePrintable(t, w.Body.String())
	var f Failure
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &f))
	require.Equal(t, terminalTricks, f.Text)
}

type errorText string

func (e errorText) Error() string { return string(e) }
