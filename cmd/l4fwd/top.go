package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/top"
	"github.com/l4fwd/l4fwd/proxy"
)

// newTop is the verb top.
func newTop() *cobra.Command {
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show the running daemon live, with its busiest connections",
		Long: "Shows the state of the running daemon in place: readiness, rates, the addresses of upstreams, and connections by rate,\n" +
			"age, stall, idle time or bytes. Keys: s the next order, / filter, x close a connection, D drain, ? help, q quit. When\n" +
			"the daemon does not answer any more, the last values stay, with their age. Exit status: 0, 1 no daemon answers or\n" +
			"there is no terminal.",
		Example: "  l4fwd top\n  l4fwd top --interval 5s --admin unix:/run/l4fwd/admin.sock",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < 500*time.Millisecond || interval > time.Minute {
				return usage(fmt.Errorf("flag --interval: %s is out of range; write a duration from 500ms to 1m", interval))
			}
			return showTop(cmd, interval)
		},
	}
	cmd.Flags().DurationVar(&interval, "interval", 2*time.Second, "How long, `D`, between two looks: 500ms to 1m.")
	return talksToDaemon(cmd)
}

// showTop shows the daemon until the operator quits.
func showTop(cmd *cobra.Command, interval time.Duration) error {
	out, _ := cmd.OutOrStdout().(*os.File)
	if out == nil || !top.IsTerminal(out) || !top.IsTerminal(os.Stdin) {
		return failure(errors.New("top: it needs a terminal as standard input and output; l4fwd status and l4fwd conns can be read in a pipe"))
	}
	c, err := adminClient(cmd)
	if err != nil {
		return err
	}
	o := top.Options{Daemon: topDaemon{c}, Sorts: []string{"rate", "age", "stalls", "idle", "bytes"}, Interval: interval, In: os.Stdin, Out: out}
	first, err := o.Daemon.Look(cmd.Context(), top.Query{Sort: o.Sorts[0], Limit: 100})
	if err != nil {
		return failure(err)
	}
	if err := top.Run(cmd.Context(), o, first); err != nil {
		return failure(fmt.Errorf("top: %w", err))
	}
	return nil
}

// topDaemon is a running daemon as top sees it.
type topDaemon struct{ *admin.Client }

// Look asks for the state and the connections.
func (d topDaemon) Look(_ context.Context, q top.Query) (top.Snapshot, error) {
	s, _, err := d.State()
	if err != nil {
		return top.Snapshot{}, err
	}
	list, err := d.Conns(admin.ConnQuery{Sort: q.Sort, Limit: q.Limit})
	if err != nil {
		return top.Snapshot{}, err
	}
	snap := snapshotOf(&s)
	snap.Total = list.Total
	for i := range list.Conns {
		snap.Conns = append(snap.Conns, topConn(&list.Conns[i]))
	}
	return snap, nil
}

// Close ends a connection.
func (d topDaemon) Close(id uint64) error { return d.CloseConn(id) }

// snapshotOf is the state without the connections.
func snapshotOf(s *admin.State) top.Snapshot {
	snap := top.Snapshot{
		At: time.Now(), Version: s.Build.Version, PID: s.PID, Uptime: time.Duration(s.Uptime * float64(time.Second)), Ready: s.Ready, Draining: s.Draining,
		Engine: s.Proxy.Engine, Active: int(s.Proxy.Active), Max: s.Proxy.MaxConns,
		Accepts: s.Rates.Connections, BytesUp: s.Rates.BytesUp, Down: s.Rates.BytesDown,
	}
	for _, c := range s.Conditions {
		if !c.OK {
			snap.NotReady = append(snap.NotReady, c.Name+": "+c.Reason)
		}
	}
	if len(s.Rates.Busy) > 0 {
		snap.Busiest = slices.Max(s.Rates.Busy)
	}
	if s.EIP != nil && s.EIP.Hold != nil {
		snap.PublicAddress = s.EIP.Hold.Public.String()
	}
	for _, u := range s.Proxy.Upstreams {
		for _, a := range u.Addresses {
			snap.Addresses = append(snap.Addresses, top.Address{
				Upstream: u.Name, Address: a.Addr.String(), State: a.State, Why: a.Why,
				Usable: a.State == "usable" || a.State == "backup", Backup: a.Backup, Active: a.Active,
			})
		}
	}
	return snap
}

// topConn is a row of the connections.
func topConn(c *admin.Conn) top.Conn {
	row := top.Conn{
		ID: c.ID, Client: c.Client.String(), SNI: c.SNI, Upstream: c.Upstream, State: c.State, Stalls: c.Stalls,
		Age: time.Duration(c.Age * float64(time.Second)), Idle: time.Duration(c.Idle * float64(time.Second)), RateUp: c.RateUp, RateDown: c.RateDown,
	}
	if row.Stalls == proxy.Stalls()[0] {
		row.Stalls = ""
	}
	if c.Address.IsValid() {
		row.Address = c.Address.String()
	}
	return row
}
