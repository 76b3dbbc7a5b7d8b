package pool

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip"
)

// sample is a pool with a free address, one in service and one that a retained instance keeps.
func sample() []Entry {
	return []Entry{
		{Address: eip.Address{Allocation: "eipalloc-1", Public: netip.MustParseAddr("198.51.100.1")}},
		{Address: eip.Address{Allocation: "eipalloc-2", Public: netip.MustParseAddr("198.51.100.2"), Association: "eipassoc-2", Instance: "i-2",
			Interface: "eni-2", Private: netip.MustParseAddr("10.0.0.2")}, State: "InService"},
		{Address: eip.Address{Allocation: "eipalloc-3", Public: netip.MustParseAddr("198.51.100.3"), Association: "eipassoc-3", Instance: "i-3",
			Interface: "eni-3", Private: netip.MustParseAddr("10.0.0.3")}, State: "Terminating:Retained"},
	}
}

func printed(t *testing.T, format string, all []Entry) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Formats[format].Write(&b, all))
	return b.String()
}

func TestTable(t *testing.T) {
	require.Equal(t, `ADDRESS       ALLOCATION  HELD BY  INTERFACE  PRIVATE   STATE
198.51.100.1  eipalloc-1  free     -          -         -
198.51.100.2  eipalloc-2  i-2      eni-2      10.0.0.2  InService
198.51.100.3  eipalloc-3  i-3      eni-3      10.0.0.3  Terminating:Retained
3 addresses, 1 free

198.51.100.3 is held by i-3, which Auto Scaling retains after an abandoned termination hook: it is out of service.
  free the address:   l4fwd eip release --interface eni-3 --private-ip 10.0.0.3, with the same pool
  end the instance:   aws autoscaling terminate-instance-in-auto-scaling-group --no-should-decrement-desired-capacity --instance-id i-3
`, printed(t, "table", sample()))
	require.Equal(t, "ADDRESS  ALLOCATION  HELD BY  INTERFACE  PRIVATE  STATE\n0 addresses, 0 free\n", printed(t, "table", nil))
}

func TestJSONHasTheStateWhereItIsKnown(t *testing.T) {
	var all []map[string]any
	require.NoError(t, json.Unmarshal([]byte(printed(t, "json", sample())), &all))
	require.Len(t, all, 3)
	require.NotContains(t, all[0], "lifecycle_state")
	require.Equal(t, "Terminating:Retained", all[2]["lifecycle_state"])
}

// The firewall admits the whole pool, held or free, and takes so many rules and no more.
func TestFirewallFormats(t *testing.T) {
	require.Equal(t, 3, strings.Count(printed(t, "azure-cli", sample()), "network-rule add"))
	require.Equal(t, "ip_rules = [\n  \"198.51.100.1\",\n  \"198.51.100.2\",\n  \"198.51.100.3\",\n]\n", printed(t, "tfvars", sample()))
	for _, format := range []string{"azure-cli", "tfvars"} {
		full := make([]Entry, maxAzureRules)
		for i := range full {
			full[i].Public = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		}
		require.Contains(t, printed(t, format, full), "198.51.100.99")
		var b bytes.Buffer
		err := Formats[format].Write(&b, append(full, full[0]))
		require.ErrorContains(t, err, "the pool has 101 addresses")
		require.Empty(t, b.String())
		require.False(t, Formats[format].States)
	}
}

// broken is a pipe whose reader has gone after so many writes.
type broken struct{ writes int }

var errBroken = errors.New("broken pipe")

func (b *broken) Write(p []byte) (int, error) {
	if b.writes--; b.writes < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestNoFormatHidesABrokenPipe(t *testing.T) {
	for name, format := range Formats {
		var whole counted
		require.NoError(t, format.Write(&whole, sample()))
		for n := range whole.writes {
			require.ErrorIs(t, format.Write(&broken{n}, sample()), errBroken, "%s, %d writes pass", name, n)
		}
	}
}

// counted counts writes.
type counted struct{ writes int }

func (c *counted) Write(p []byte) (int, error) {
	c.writes++
	return len(p), nil
}
