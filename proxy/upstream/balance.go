package upstream

import "github.com/l4fwd/l4fwd/proxy/enum"

// Balance says how addresses of equal standing share the connections: pick.go does it. The configuration lists the names again in
// proxy/choices.go and cmd/l4fwd/internal/config/choices.go.
type Balance uint8

// The ways to balance.
const (
	LeastConn  Balance = iota // the one with the fewest connections; equals take turns
	RoundRobin                // each in turn
	First                     // the first, in the order of Update
)

var balances = []string{LeastConn: "least_conn", RoundRobin: "round_robin", First: "first"}

func (b Balance) String() string { return enum.Name(balances, b) }

// UnmarshalText reads the name of a Balance and refuses an unknown one.
func (b *Balance) UnmarshalText(text []byte) error { return enum.Parse(balances, text, b) }
