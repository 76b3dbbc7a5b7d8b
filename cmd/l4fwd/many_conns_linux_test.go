package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
)

// manyConns in the environment is how many connections TestConnsOfManyConnections lists; at 9,000 and above the time is judged.
const manyConns = "L4FWD_TEST_MANY_CONNS"

// A listing shows each connection with both legs. At 9,000 it takes under 200 ms, and no loop is held for more than a millisecond:
// L4FWD_TEST_MANY_CONNS=9000 go test ./cmd/l4fwd -run ManyConnections -v, on a machine that is otherwise idle.
func TestConnsOfManyConnections(t *testing.T) {
	many := 300
	if n, err := strconv.Atoi(os.Getenv(manyConns)); err == nil {
		many = n
	}
	for _, engine := range []string{"auto", "epoll", "portable"} {
		t.Run(engine, func(t *testing.T) {
			p := started(t, nil, "--engine", engine, "--upstream", peers(t, "server"))
			require.Equal(t, "ready", peers(t, "client "+p.listen+" "+strconv.Itoa(many)))
			client := admin.NewClient("conns", "tcp", p.admin)
			var took []time.Duration
			var held []float64
			for range 9 {
				begun := time.Now()
				raw, err := client.ConnsJSON(admin.ConnQuery{})
				require.NoError(t, err)
				took = append(took, time.Since(begun))
				var list admin.ConnList
				require.NoError(t, json.Unmarshal(raw, &list))
				held = append(held, list.Held)
				require.Len(t, list.Conns, many)
				for _, c := range list.Conns {
					require.True(t, c.ClientLeg.Known && c.Leg.Known && c.State == "relaying", "%+v", c)
				}
				t.Logf("took %s, of these %.1f ms to ask; a loop was held for %.3f ms at most; %d bytes", took[len(took)-1], list.Took, list.Held, len(raw))
			}
			if many < 9000 {
				return
			}
			// A neighbour may take the processor from the loop, or from this process: the median is the product's own.
			slices.Sort(took)
			slices.Sort(held)
			require.Less(t, took[4], 200*time.Millisecond)
			require.Less(t, held[4], 1.0, "ms")
		})
	}
}

// A thousand listings at once are answered, with the list or with the word that others are under way. Connections go on meanwhile,
// and nothing of the callers is left.
func TestAThousandListingsAtOnce(t *testing.T) {
	p := started(t, nil, "--upstream", peers(t, "server"))
	require.Equal(t, "ready", peers(t, "client "+p.listen+" 300"))
	files := func() int {
		all, err := os.ReadDir("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/fd")
		require.NoError(t, err)
		return len(all)
	}
	before := files()
	var listed, busy atomic.Int64
	var others sync.Map
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			list, err := admin.NewClient("conns", "tcp", p.admin).Within(30 * time.Second).Conns(admin.ConnQuery{})
			switch {
			case err == nil && len(list.Conns) == 300:
				listed.Add(1)
			case err != nil && strings.Contains(err.Error(), "listings of the connections are under way"):
				busy.Add(1)
			default:
				others.Store(fmt.Sprintf("%d connections, %v", len(list.Conns), err), true)
			}
		})
	}
	wg.Wait()
	others.Range(func(what, _ any) bool { t.Error(what); return true })
	t.Logf("%d listed, %d told to come again", listed.Load(), busy.Load())
	require.Positive(t, listed.Load())
	p.eventually(t, func() bool { return files() <= before+2 })
	require.Len(t, p.conns(t, "").Conns, 300)
}
