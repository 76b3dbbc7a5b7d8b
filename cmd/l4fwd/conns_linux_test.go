package main

import (
	"cmp"
	"encoding/json"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
)

// moods is a server that does what the first byte of a client says: e echoes, f sends without end, s does not read.
func moods(t *testing.T) string {
	t.Helper()
	ended := make(chan struct{})
	addr := serveEach(t, func(c net.Conn) {
		mood := make([]byte, 1)
		if _, err := io.ReadFull(c, mood); err != nil {
			return
		}
		switch mood[0] {
		case 'f':
			for b := make([]byte, 64<<10); ; {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		case 's':
			<-ended
		default:
			_, _ = c.Write(mood)
			_, _ = io.Copy(c, c)
			<-ended // the client's FIN does not end it
		}
	})
	t.Cleanup(func() { close(ended) })
	return addr
}

// conns asks the daemon for those of a state; "": for all.
func (p *process) conns(t *testing.T, state string) admin.ConnList {
	t.Helper()
	list, err := admin.NewClient("test", "tcp", p.admin).Conns(admin.ConnQuery{State: state})
	require.NoError(t, err)
	return list
}

// say dials and sends a mood.
func (p *process) say(t *testing.T, mood string) net.Conn {
	c := p.dial(t)
	_, err := io.WriteString(c, mood)
	require.NoError(t, err)
	return c
}

// inOrder brings connections into the order of their clients: ids are of the order in which loops accepted them.
func inOrder(conns []admin.Conn, clients ...net.Conn) {
	of := func(c admin.Conn) int {
		return slices.IndexFunc(clients, func(n net.Conn) bool { return n.LocalAddr().String() == c.Client.String() })
	}
	slices.SortFunc(conns, func(a, b admin.Conn) int { return cmp.Compare(of(a), of(b)) })
}

// An operator sees of each connection where it is and who stalls it, and closes exactly the one that was meant, on each engine.
func TestConnsShowsAndClosesEach(t *testing.T) {
	for _, engine := range []string{"auto", "epoll", "portable"} {
		t.Run(engine, func(t *testing.T) {
			p := started(t, []string{"L4FWD_LOG_ACCESS=all"}, "--engine", engine, "--upstream", moods(t))
			calm := p.say(t, "e")
			_, err := io.ReadFull(calm, make([]byte, 1))
			require.NoError(t, err)
			half := p.say(t, "e")
			require.NoError(t, half.(*net.TCPConn).CloseWrite())
			flood := p.say(t, "f")
			stuck := p.say(t, "s")
			go func() { _, _ = stuck.Write(make([]byte, 64<<20)) }()

			var list admin.ConnList
			p.eventually(t, func() bool {
				list = p.conns(t, "")
				inOrder(list.Conns, calm, half, flood, stuck)
				return len(list.Conns) == 4 && list.Conns[1].State == "half_closed_up" && list.Conns[2].Stalls == "client" && list.Conns[3].Stalls == "upstream"
			}, &list)
			require.Equal(t, "relaying", list.Conns[0].State)
			require.Equal(t, "none", list.Conns[0].Stalls)
			require.True(t, list.Conns[0].ClientLeg.Known && list.Conns[0].Leg.Known)
			require.Positive(t, list.Conns[0].Leg.RTT)
			verb := func(code int, args ...string) outcome {
				t.Helper()
				o := l4fwd(t, nil, append([]string{"conns", "--admin", p.admin}, args...)...)
				require.Equal(t, code, o.code, o.stderr)
				return o
			}
			require.Contains(t, verb(exitOK, "--sort", "stalls").stdout, "half_closed_up")
			require.Equal(t, 2, strings.Count(verb(exitOK, "--stalls", "any", "--output", "json").stdout, `"stalls":`))

			for left := 4; left > 0; left-- {
				id := strconv.FormatUint(list.Conns[left-1].ID, 10)
				verb(exitOK, "--close", id)
				p.eventually(t, func() bool { return len(p.conns(t, "").Conns) == left-1 })
				p.eventually(t, func() bool { return strings.Count(p.log.String(), `"reason":"operator"`) == 5-left })
			}
			require.Contains(t, verb(exitFailure, "--close", strconv.FormatUint(list.Conns[0].ID, 10)).stderr, "has ended")
		})
	}
}

// A connection is closed in each phase: while its first bytes are awaited, and while its upstream does not answer.
func TestConnsClosesBeforeTheUpstreamIsReached(t *testing.T) {
	for _, engine := range []string{"auto", "epoll", "portable"} {
		t.Run(engine, func(t *testing.T) {
			p := started(t, []string{"L4FWD_LOG_ACCESS=all", "L4FWD_TIMEOUTS_PREFACE=1m"}, "--engine", engine,
				"--config", write(t, "listeners:\n- {name: tls, address: "+strconv.Quote(freePort(t))+", routes: [{sni: [a.example], upstream: up}]}\nupstreams:\n- {name: up, address: "+strconv.Quote(echo(t))+"}\n"))
			c := p.dial(t)
			_, err := c.Write([]byte{22, 3, 1, 2}) // a ClientHello begins
			require.NoError(t, err)
			p.eventually(t, func() bool { return len(p.conns(t, "preface").Conns) == 1 })
			id := p.conns(t, "").Conns[0].ID
			require.Equal(t, exitOK, l4fwd(t, nil, "conns", "--admin", p.admin, "--close", strconv.FormatUint(id, 10)).code)
			_, err = c.Read(make([]byte, 1))
			require.Error(t, err)
			p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"reason":"operator"`) })
		})
	}
}

// The address verbs and log-level change the running daemon, say what they did, and warn of an upstream that is left without an address.
func TestAddressAndLogLevelVerbs(t *testing.T) {
	up := echo(t)
	p := started(t, nil, "--upstream", up)
	ask := func(code int, args ...string) string {
		t.Helper()
		o := l4fwd(t, nil, append(args, "--admin", p.admin)...)
		require.Equal(t, code, o.code, "%v: %s", args, o.stderr)
		return o.stdout + o.stderr
	}
	var list admin.AddressList
	require.NoError(t, json.Unmarshal([]byte(ask(exitOK, "address", "list", "--output", "json")), &list))
	require.Len(t, list.Addresses, 1)
	name := list.Addresses[0].Upstream
	open := p.dial(t)
	exchange(t, open)

	require.Contains(t, ask(exitOK, "address", "eject", name, up, "--for", "1h"), "WARNING: no usable address")
	require.Contains(t, ask(exitOK, "address", "list"), "ejected_by_operator")
	require.Contains(t, ask(exitFailure, "status"), "ejected_by_operator")
	require.Contains(t, p.get("/metrics"), `state="ejected_by_operator",upstream="`+name+`"} 1`)
	exchange(t, open) // goes on
	if c, err := net.Dial("tcp", p.listen); err == nil {
		_, err = c.Read(make([]byte, 1))
		require.Error(t, err)
		c.Close()
	}
	ask(exitOK, "reload")
	require.Contains(t, ask(exitOK, "address", "list"), "ejected_by_operator", "after a reload")
	require.Contains(t, ask(exitOK, "address", "restore", name, up), "usable")
	p.eventually(t, func() bool { return p.get("/readyz") == "200 ok\n" })
	exchange(t, p.dial(t))

	require.Contains(t, ask(exitFailure, "address", "restore", name, up), "not ejected")
	require.Contains(t, ask(exitFailure, "address", "eject", "nope", up), "no upstream of this name; there are: "+name)
	require.Contains(t, ask(exitFailure, "address", "eject", name, "192.0.2.9:1"), "does not have this address; it has: "+up)
	require.Contains(t, ask(exitUsage, "address", "eject", name, "up"), "is not an address with its port")
	require.Contains(t, ask(exitUsage, "address", "eject", name, up, "--for", "0s"), "out of range")
	require.Contains(t, ask(exitUsage, "address"), "name one of list, eject, restore")

	const choices = "change it with l4fwd log-level and one of debug, info, warn, error\n"
	require.Equal(t, "log level info, as configured\n"+choices, ask(exitOK, "log-level"))
	require.Contains(t, ask(exitUsage, "log-level", "--for", "1m"), "name the level, one of debug, info, warn, error")
	require.Contains(t, ask(exitOK, "log-level", "debug"), "until the next reload")
	require.Equal(t, "log level debug, until the next reload, which sets info\n"+choices, ask(exitOK, "log-level"), "it shows and changes nothing")
	ask(exitOK, "reload")
	require.Contains(t, ask(exitOK, "log-level", "info"), "as configured")
	require.Contains(t, ask(exitUsage, "log-level", "loud"), "use one of")
	require.Contains(t, ask(exitOK, "log-level", "error", "--for", "1s"), "then info")
	p.eventually(t, func() bool {
		var l admin.LogLevel
		return admin.NewClient("test", "tcp", p.admin).Call("GET", "/api/v1/log-level", &l) == nil && l.Level == "info" && l.Until.IsZero()
	})
	events, err := admin.NewClient("test", "tcp", p.admin).Events()
	require.NoError(t, err)
	kinds := map[string]int{}
	for _, e := range events.Events {
		kinds[e.Kind]++
	}
	require.Equal(t, map[string]int{"start": 1, "operator": 5, "address": 2, "reload": 2}, kinds)
}
