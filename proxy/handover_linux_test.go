package proxy

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/proxy/handoff"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// handOver passes from's connections to a server with the options o, by the protocol of package handoff, and returns that server.
func handOver(t testing.TB, from *Server, o Options) *Server {
	t.Helper()
	g, f, err := handoff.Pair()
	require.NoError(t, err)
	defer g.Close()
	taker, err := handoff.NewTaker(f)
	require.NoError(t, err)
	defer taker.Close()
	type taken struct {
		s     *Server
		stats Stats
		err   error
	}
	result := make(chan taken, 1)
	go func() {
		s, stats, err := takeOver(taker, o)
		result <- taken{s, stats, err}
	}()
	was, err := giveAway(g, from)
	got := <-result
	require.NoError(t, got.err)
	require.NoError(t, err)
	t.Cleanup(func() { got.s.Close(relay.Operator) })
	goesOn(t, was, got.stats)
	return got.s
}

// giveAway is what the old process does. The figures are those while all stands still.
func giveAway(g *handoff.Giver, from *Server) (st Stats, err error) {
	if _, err := g.Meet(); err != nil {
		return st, err
	}
	sockets, err := from.Sockets()
	if err != nil {
		return st, err
	}
	if err := g.Offer(&handoff.State{Sockets: sockets, Base: from.Base()}); err != nil {
		return st, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	frozen, err := from.Freeze(ctx)
	if err != nil {
		return st, err
	}
	st = from.Stats()
	counters, err := from.SaveCounters()
	if err == nil {
		err = frozen.Export(g.Connection)
	}
	if err == nil {
		err = g.Finish(&handoff.Final{NextID: frozen.LastID(), Conns: frozen.Count(), Parts: map[string]handoff.Part{"counters": counters}})
	}
	if err == nil {
		err = g.Commit()
	}
	if err != nil {
		frozen.Resume()
		return st, err
	}
	frozen.Release()
	return st, nil
}

// takeOver is what the new process does. The figures are those before its loops run.
func takeOver(taker *handoff.Taker, o Options) (s *Server, st Stats, err error) {
	state, err := taker.Greet("test")
	if err != nil {
		return nil, st, err
	}
	o.Adopt = &relay.Adoption{Sockets: state.Sockets, Base: state.Base}
	s, err = Start(o)
	for _, sock := range state.Sockets {
		syscall.Close(sock.FD)
	}
	if err != nil {
		return nil, st, err
	}
	frozen, n := s.Adopted(), 0
	final, err := taker.Ready(func(conns []handoff.Conn) error {
		n += len(conns)
		for i := range conns {
			if err := frozen.Take(&conns[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && n != final.Conns {
		err = fmt.Errorf("%d connections came of %d", n, final.Conns)
	}
	if err == nil {
		err = s.TakeCounters(final.Parts["counters"])
	}
	if err == nil {
		st = s.Stats()
		err = taker.Adopted()
	}
	if err != nil {
		frozen.Release()
		s.Close(relay.Operator)
		return nil, st, err
	}
	frozen.Begin(final.NextID)
	return s, st, nil
}

// enginePairs are an old and a new engine.
func enginePairs(t *testing.T, f func(t *testing.T, from, to string)) {
	all := slices.DeleteFunc(engines(), func(e string) bool { return e == "portable" })
	for _, from := range all {
		for _, to := range all {
			t.Run(from+" to "+to, func(t *testing.T) { f(t, from, to) })
		}
	}
}

// A routed client behind a PROXY header, one whose ClientHello is not complete yet, and one that is limited by its source go on in the
// next process, with all that the policy knows of them.
func TestConnectionsPassWithWhatThePolicyKnows(t *testing.T) {
	enginePairs(t, func(t *testing.T, from, engine string) {
		a, b := tlsServer(t, "a.example"), tlsServer(t, "b.example")
		core, lines := observer.New(zap.InfoLevel)
		o := Options{
			Engine: from, Loops: 2, Access: AccessAll, Log: zap.New(core), PerSource: 2, Upstreams: []Upstream{to("a", a), to("b", b)},
			Listeners: []Listener{{Name: "in", Addr: netip.MustParseAddrPort("127.0.0.1:0"), AcceptProxy: ProxyRequired,
				Routes: []Route{{SNI: []string{"a.example"}, Upstream: "a"}, {SNI: []string{"b.example"}, Upstream: "b"}}}},
		}
		old, err := Start(o)
		require.NoError(t, err)
		t.Cleanup(func() { old.Close(relay.Operator) })
		d := &harness{t, old, lines, 0}
		hello := clientHello(t, "a.example")
		d.refused("proxy_header_missing", hello)
		header := proxyHeader(t, 2, trueClient, nil)

		open1, half := d.dial(), d.dial()
		_, err = open1.Write(append(slices.Clone(header), hello...))
		require.NoError(t, err)
		answer := make([]byte, 5)
		_, err = io.ReadFull(open1, answer)
		require.NoError(t, err)
		_, err = half.Write(append(slices.Clone(header), hello[:20]...))
		require.NoError(t, err)
		d.awaitFlow(func(f *relay.Flow) bool {
			return f.Attempts == 0 && len(sessionOf(f).parser.Result.Source.String()) > 12
		})
		d.awaitFlow(func(f *relay.Flow) bool { return f.Attempts == 1 })
		before := map[bool]uint64{}
		d.relay.Flows(func(s *relay.Summary) { before[s.Attempts == 1] = s.ID })
		at := d.Addrs()[0]

		o.Engine = engine
		next := handOver(t, d.Server, o)
		n := &harness{t, next, lines, d.seen}
		require.Equal(t, at, n.Addrs()[0])
		n.relay.Flows(func(s *relay.Summary) { require.Equal(t, before[s.Attempts == 1], s.ID) })
		require.EqualValues(t, 1, n.Stats().Active[[2]string{"in", "a"}])
		require.EqualValues(t, 1, n.Stats().Active[[2]string{"in", ""}])
		require.Equal(t, 1, n.policy.table.Load().rules[0].counters.sources.Sources())

		_, err = half.Write(hello[20:])
		require.NoError(t, err)
		_, err = io.ReadFull(half, answer)
		require.NoError(t, err)
		n.refused("limit_source", append(slices.Clone(header), hello...))
		open1.Close()
		line := n.ended()
		require.EqualValues(t, before[true], line["id"])
		require.Equal(t, trueClient.String(), line["client"])
		require.Equal(t, "a.example", line["sni"])
		require.Equal(t, "a", line["upstream"])
		require.EqualValues(t, len(hello), line["bytes_up"])
		half.Close()
		line = n.ended()
		require.Equal(t, "a.example", line["sni"])
		require.Zero(t, n.policy.table.Load().rules[0].counters.sources.Sources())
		require.Zero(t, n.Stats().Relay.Active)
		for _, u := range n.Status().Upstreams {
			require.Zero(t, u.Active)
			for _, addr := range u.Addresses {
				require.Zero(t, addr.Active)
			}
		}
	})
}

// goesOn wants each counter to be after a hand-over what it was before it.
func goesOn(t testing.TB, was, is Stats) {
	t.Helper()
	for name, n := range was.Accepted {
		require.Equal(t, n, is.Accepted[name])
	}
	require.Equal(t, was.Refused, is.Refused)
	require.Equal(t, was.Ended, is.Ended)
	for key, n := range was.Active {
		require.Equal(t, n, is.Active[key], "%v", key)
	}
	for key, n := range was.Bytes {
		require.Equal(t, n, is.Bytes[key], "%v", key)
	}
	require.Equal(t, was.Dials, is.Dials)
	for name := range was.Connect {
		require.Equal(t, was.Connect[name], is.Connect[name])
		require.Equal(t, was.FirstByte[name], is.FirstByte[name])
		require.Equal(t, was.Duration[name], is.Duration[name])
	}
	require.Equal(t, was.Forgotten, is.Forgotten)
	for key, n := range was.Lookups {
		require.GreaterOrEqual(t, is.Lookups[key], n, "%v", key)
	}
	for i, busy := range was.Relay.Busy {
		require.GreaterOrEqual(t, is.Relay.Busy[i], busy)
	}
}

// Connections stay although the new configuration knows neither their listener nor their upstream, and the limits of an upstream
// count those that came from the old process.
func TestConnectionsPassToAnotherConfiguration(t *testing.T) {
	enginePairs(t, func(t *testing.T, from, engine string) {
		one, two := greeter(t, "127.0.0.1:0", "one"), greeter(t, "127.0.0.1:0", "two")
		var o Options
		s := start(t, from, "127.0.0.1", one.Port(), func(opts *Options) {
			opts.Upstreams[0].Warm = Warm{Connections: 2}
			o = *opts
		})
		isWarm(t, s)
		c, name := greet(t, s)
		require.Equal(t, "one\n", name)
		isWarm(t, s)

		o.Engine = engine
		s = handOver(t, s, o)
		require.EqualValues(t, 2, s.Status().Upstreams[0].Warm.Ready, "they waited, and wait on")
		echoes(t, c)
		c2, _ := greet(t, s)
		require.EqualValues(t, 2, used(s, "hit"), "one in each process")

		o.Listeners = []Listener{{Name: "new", Addr: netip.MustParseAddrPort(s.Addrs()[0].String()), Upstream: "other"}}
		o.Upstreams = []Upstream{{Name: "other", Host: "127.0.0.1", Port: two.Port()}}
		was := s.Addrs()[0]
		s = handOver(t, s, o)
		require.Equal(t, was, s.Addrs()[0], "of another name now")
		echoes(t, c)
		echoes(t, c2)
		require.EqualValues(t, 2, s.Stats().Active[[2]string{"in", "up"}])
		_, name = greet(t, s)
		require.Equal(t, "two\n", name)
		c.Close()
		c2.Close()
		require.Eventually(t, func() bool { return s.Stats().Active[[2]string{"in", "up"}] == 0 }, soon, 5*time.Millisecond)
		require.EqualValues(t, 2, s.Stats().Ended[[3]string{"in", "up", "client_closed"}])
	})
}
