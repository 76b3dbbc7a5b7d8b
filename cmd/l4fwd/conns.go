package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/top"
	"github.com/l4fwd/l4fwd/proxy"
)

// newConns is the verb conns.
func newConns() *cobra.Command {
	var f connsFlags
	cmd := &cobra.Command{
		Use:   "conns",
		Short: "List the live connections of the running daemon, or close one",
		Long: "Lists the live connections of the running daemon. STALLS names the peer that does not take the bytes that wait for\n" +
			"it: its window is shut, it acknowledges nothing, or nothing has moved for a second. c/u are the client's leg and the\n" +
			"upstream's. Rates are since an earlier listing of the last minute, else over the life of the connection. On a narrow\n" +
			"terminal columns are left out: --output json has all.\n\n" +
			"--close ends the connection with that id; its peers see a reset, unless it was at rest, and its reason is operator.\n" +
			"Exit status: 0 done, 1 no daemon answers, or what was named is not there.",
		Example: "  l4fwd conns --sort rate --limit 20\n  l4fwd conns --upstream dais24 --stalls any\n  l4fwd conns --close 4711\n  l4fwd conns --output json | jq '.conns[] | select(.idle_seconds > 600)'",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.addTo(cmd.Flags())
	return talksToDaemon(cmd)
}

// connsFlags are the flags of conns.
type connsFlags struct {
	q      admin.ConnQuery
	output string
	id     uint64 // of the connection to be closed
}

// addTo adds the flags to those of the verb.
func (f *connsFlags) addTo(fs *pflag.FlagSet) {
	fs.Uint64Var(&f.id, "close", 0, "Close the connection with this `ID`. It goes with no other flag but --admin and --config.")
	fs.StringVar(&f.q.Upstream, "upstream", "", "Only those to the upstream of this `NAME`.")
	fs.StringVar(&f.q.Listener, "listener", "", "Only those of the listener of this `NAME`.")
	fs.StringVar(&f.q.Address, "address", "", "Only those to this upstream `ADDRESS`, with or without its port.")
	fs.StringVar(&f.q.Client, "client", "", "Only those of this client's `ADDRESS`, with or without its port.")
	fs.StringVar(&f.q.SNI, "sni", "", "Only those with this server `NAME`; a listener without routes reads none.")
	fs.StringVar(&f.q.State, "state", "", "Only those in this `STATE`: "+strings.Join(proxy.ConnectionStates(), ", ")+".")
	fs.StringVar(&f.q.Stalls, "stalls", "", "Only those that `WHO` stalls: "+strings.Join(proxy.Stalls(), ", ")+", or any.")
	fs.StringVar(&f.q.Sort, "sort", "id", "Order by `KEY`: "+strings.Join(admin.Sorts(), ", ")+"; the largest first, except id.")
	offer(fs, "state", proxy.ConnectionStates()...)
	offer(fs, "stalls", append(proxy.Stalls(), "any")...)
	offer(fs, "sort", admin.Sorts()...)
	fs.BoolVar(&f.q.Reverse, "reverse", false, "Turn the order around.")
	fs.IntVar(&f.q.Limit, "limit", 0, "List at most `N`; 0: all.")
	addOutputFlag(fs, &f.output)
}

// run lists connections, or closes one.
func (f *connsFlags) run(cmd *cobra.Command) error {
	if cmd.Flags().Changed("close") {
		return closeConn(cmd, f.id)
	}
	if err := checkOutput(f.output); err != nil {
		return err
	}
	if err := f.q.Check(); err != nil {
		return usage(fmt.Errorf("flag --%w", err))
	}
	for _, is := range []struct{ flag, text string }{{"client", f.q.Client}, {"address", f.q.Address}} {
		if !isAddress(is.text) {
			return usage(fmt.Errorf("flag --%s: %q is no IP address; write it whole, with or without its port", is.flag, is.text))
		}
	}
	if f.q.Limit < 0 {
		return usage(fmt.Errorf("flag --limit: %d is below 0; use 0, for all, or more", f.q.Limit))
	}
	return listConns(cmd, f.q, f.output)
}

// listConns prints the connections.
func listConns(cmd *cobra.Command, q admin.ConnQuery, output string) error {
	c, err := adminClient(cmd)
	if err != nil {
		return err
	}
	if err := checkNames(c, q); err != nil {
		return failure(err)
	}
	var out bytes.Buffer
	if output == "json" {
		raw, err := c.ConnsJSON(q)
		if err != nil {
			return failure(err)
		}
		out.Write(append(bytes.TrimSpace(raw), '\n'))
	} else {
		list, err := c.Conns(q)
		if err != nil {
			return failure(err)
		}
		admin.WriteConns(&out, list, widthOf(cmd.OutOrStdout()))
	}
	return printed(cmd, out.Bytes())
}

// isAddress reports whether text is an IP address, with or without a port, or empty.
func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	_, errPort := netip.ParseAddrPort(text)
	return text == "" || err == nil || errPort == nil
}

// checkNames reports a name that no listener or upstream of the daemon has, unless connections of a removed one are open: a typing error
// would look like no traffic.
func checkNames(c *admin.Client, q admin.ConnQuery) error {
	if q.Upstream == "" && q.Listener == "" {
		return nil
	}
	s, _, err := c.State()
	if err != nil {
		return err
	}
	var upstreams, listeners []string
	for _, u := range s.Proxy.Upstreams {
		upstreams = append(upstreams, u.Name)
	}
	for _, in := range s.Proxy.Listeners {
		listeners = append(listeners, in.Name)
	}
	for _, name := range []struct {
		kind, want string
		there      []string
		only       admin.ConnQuery
	}{{"upstream", q.Upstream, upstreams, admin.ConnQuery{Upstream: q.Upstream, Limit: 1}}, {"listener", q.Listener, listeners, admin.ConnQuery{Listener: q.Listener, Limit: 1}}} {
		if name.want == "" || slices.Contains(name.there, name.want) {
			continue
		}
		if list, err := c.Conns(name.only); err != nil || list.Found == 0 {
			return errors.Join(err, fmt.Errorf("conns: there is no %s %q; there are: %s", name.kind, name.want, strings.Join(name.there, ", ")))
		}
	}
	return nil
}

// widthOf is the width of the terminal that out is; 0: it is none.
func widthOf(out io.Writer) int {
	if f, ok := out.(*os.File); ok {
		return top.Width(f)
	}
	return 0
}

// closeConn closes one connection. A filter beside --close might be meant to narrow what is closed, so it is refused.
func closeConn(cmd *cobra.Command, id uint64) error {
	for _, name := range []string{"upstream", "listener", "address", "client", "sni", "state", "stalls", "sort", "reverse", "limit", "output"} {
		if cmd.Flags().Changed(name) {
			return usage(fmt.Errorf("flag --close: it goes not with --%s; it closes the one connection with that id", name))
		}
	}
	c, err := adminClient(cmd)
	if err != nil {
		return err
	}
	if err := c.CloseConn(id); err != nil {
		return failure(err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "closed connection %d\n", id)
	return nil
}
