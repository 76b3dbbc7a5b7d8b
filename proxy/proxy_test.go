package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/bench/testport"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 4)) // loops that nap keep two of them
	goleak.VerifyTestMain(m)
}

const testName = "model.test."

// nameserver answers A questions with what it is told to.
type nameserver struct {
	mu    sync.Mutex
	rcode int
	addrs []string
	mute  bool
	addr  netip.AddrPort
}

func (n *nameserver) say(rcode int, mute bool, addrs ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rcode, n.mute, n.addrs = rcode, mute, addrs
}

func (n *nameserver) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mute {
		return
	}
	m := new(dns.Msg)
	m.SetRcode(q, n.rcode)
	if q.Question[0].Qtype == dns.TypeA {
		for _, a := range n.addrs {
			rr, err := dns.NewRR(fmt.Sprintf("%s 1 IN A %s", q.Question[0].Name, a))
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
	}
	_ = w.WriteMsg(m) // the asker may be gone
}

func startNameserver(t *testing.T) *nameserver {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &nameserver{addr: pc.LocalAddr().(*net.UDPAddr).AddrPort()}
	s := &dns.Server{PacketConn: pc, Handler: n}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown(); <-done })
	return n
}

// listen listens. For port 0 it takes one that the kernel gives to no connection, so that the same is free at other
// loopback addresses.
func listen(t *testing.T, addr string) net.Listener {
	t.Helper()
	var ln net.Listener
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	if port == "0" {
		ln, err = testport.Listen(host)
	} else {
		ln, err = net.Listen("tcp", addr)
	}
	require.NoError(t, err)
	return ln
}

// startMoving starts a server whose upstream is testName: the greeter "one" at 127.0.0.1 for now, and "two" once the nameserver says
// 127.0.0.2. change may be nil.
func startMoving(t *testing.T, engine string, change func(*Options)) (*nameserver, *Server) {
	t.Helper()
	ns := startNameserver(t)
	ns.say(dns.RcodeSuccess, false, "127.0.0.1")
	one := greeter(t, "127.0.0.1:0", "one")
	greeter(t, fmt.Sprintf("127.0.0.2:%d", one.Port()), "two")
	return ns, start(t, engine, testName, one.Port(), func(o *Options) {
		o.DNS.Servers = []netip.AddrPort{ns.addr}
		o.DNS.MaxTTL = 100 * time.Millisecond
		if change != nil {
			change(o)
		}
	})
}

// greeter is an upstream that says its name, then echoes.
func greeter(t *testing.T, addr, name string) netip.AddrPort {
	ln := listen(t, addr)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				fmt.Fprintln(c, name)
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func engines() []string {
	if _, err := relay.EngineFor("epoll"); err != nil {
		return []string{"portable"}
	}
	all := []string{"epoll", "portable"}
	if _, err := relay.EngineFor("uring"); err == nil {
		all = append(all, "uring")
	}
	return all
}

func eachEngine(t *testing.T, f func(t *testing.T, engine string)) {
	for _, e := range engines() {
		t.Run(e, func(t *testing.T) { f(t, e) })
	}
}

func start(t *testing.T, engine string, host string, port uint16, change func(*Options)) *Server {
	o := Options{
		Engine: engine, Loops: 2,
		Listeners: []Listener{{Name: "in", Addr: netip.MustParseAddrPort("127.0.0.1:0"), Upstream: "up"}},
		Upstreams: []Upstream{{Name: "up", Host: host, Port: port, ConnectTimeout: time.Second, Attempts: 3}},
		DNS:       DNS{MinTTL: 100 * time.Millisecond, Timeout: 200 * time.Millisecond},
		Prober:    probeTCP,
	}
	if change != nil {
		change(&o)
	}
	s, err := Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close(relay.Operator) })
	return s
}

// greeting connects and returns the upstream's name, or the error the client met.
func greeting(s *Server) (net.Conn, string, error) {
	c, err := net.Dial("tcp", s.Addrs()[0].String())
	if err != nil {
		return nil, "", err
	}
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	return c, line, err
}

func greet(t *testing.T, s *Server) (net.Conn, string) {
	c, line, err := greeting(s)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c, line
}

// A name moves to another address: new connections go there, the open one stays, and it all goes on when DNS dies.
func TestNameMovesThenDNSDies(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		first := greeter(t, "127.0.0.1:0", "one")
		greeter(t, fmt.Sprintf("127.0.0.2:%d", first.Port()), "two")
		ns := startNameserver(t)
		ns.say(dns.RcodeSuccess, false, "127.0.0.1")
		s := start(t, engine, "model.test", first.Port(), func(o *Options) { o.DNS.Servers = []netip.AddrPort{ns.addr} })
		require.Eventually(t, func() bool { return s.UpstreamsReady() == nil }, 5*time.Second, 10*time.Millisecond)
		old, line := greet(t, s)
		assert.Equal(t, "one\n", line)

		ns.say(dns.RcodeSuccess, false, "127.0.0.2")
		require.Eventually(t, func() bool {
			c, line, err := greeting(s)
			if err != nil {
				return false
			}
			c.Close()
			return line == "two\n"
		}, 5*time.Second, 20*time.Millisecond)
		fmt.Fprintln(old, "still there")
		echo, err := bufio.NewReader(old).ReadString('\n')
		require.NoError(t, err)
		assert.Equal(t, "still there\n", echo)

		for _, fail := range []func(){
			func() { ns.say(dns.RcodeServerFailure, false) },
			func() { ns.say(dns.RcodeNameError, false) },
			func() { ns.say(dns.RcodeSuccess, true) },
		} {
			fail()
			require.Eventually(t, func() bool { return s.Status().Upstreams[0].DNSError != "" }, 5*time.Second, 10*time.Millisecond)
			_, line = greet(t, s)
			assert.Equal(t, "two\n", line, "the last good answer stays in use")
			assert.NoError(t, s.UpstreamsReady())
			ns.say(dns.RcodeSuccess, false, "127.0.0.2")
			require.Eventually(t, func() bool { return s.Status().Upstreams[0].DNSError == "" }, 10*time.Second, 10*time.Millisecond)
		}
	})
}

// DNS is down at the start: alive, not ready with the reason, clients are turned away at once; ready once it answers.
func TestStartsWhileDNSIsDown(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := greeter(t, "127.0.0.1:0", "one")
		ns := startNameserver(t)
		ns.say(dns.RcodeServerFailure, false)
		s := start(t, engine, "model.test", up.Port(), func(o *Options) { o.DNS.Servers = []netip.AddrPort{ns.addr} })
		require.Eventually(t, func() bool {
			err := s.UpstreamsReady()
			return err != nil && assert.ObjectsAreEqual(true, len(err.Error()) > 20) && s.Status().Upstreams[0].DNSError != ""
		}, 5*time.Second, 10*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		assert.NoError(t, s.Alive(ctx))
		_, _, err := greeting(s)
		assert.ErrorIs(t, err, syscall.ECONNRESET)
		require.Eventually(t, func() bool { return s.Stats().Ended[[3]string{"in", "up", "no_address"}] == 1 }, 5*time.Second, 10*time.Millisecond)

		ns.say(dns.RcodeSuccess, false, "127.0.0.1")
		require.Eventually(t, func() bool { return s.UpstreamsReady() == nil }, 10*time.Second, 10*time.Millisecond)
		_, line := greet(t, s)
		assert.Equal(t, "one\n", line)
	})
}

// Of two addresses one refuses: every client is served, the other is avoided, the attempts are counted.
func TestRefusedAddressIsPassedOver(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := greeter(t, "127.0.0.2:0", "two")
		ns := startNameserver(t)
		ns.say(dns.RcodeSuccess, false, "127.0.0.1", "127.0.0.2", "127.0.0.3")
		s := start(t, engine, "model.test", up.Port(), func(o *Options) { o.DNS.Servers = []netip.AddrPort{ns.addr} })
		require.Eventually(t, func() bool { return s.UpstreamsReady() == nil }, 5*time.Second, 10*time.Millisecond)
		for range 20 {
			c, line := greet(t, s)
			assert.Equal(t, "two\n", line)
			c.Close()
		}
		st := s.Stats()
		refused := st.Dials[[2]string{"up", "connect_refused"}]
		assert.True(t, refused >= 2 && refused < 12, "%d attempts were refused: a failing address is to be avoided", refused)
		assert.Equal(t, 2, st.Addresses[[2]string{"up", "failing"}])
		require.Eventually(t, func() bool { return s.Stats().Active[[2]string{"in", "up"}] == 0 }, 5*time.Second, 10*time.Millisecond)
		for _, a := range s.Status().Upstreams[0].Addresses {
			assert.Zero(t, a.Active, "uses of %s balance", a.Addr)
		}
	})
}

// Every connection ends in exactly one figure and, where asked for, one line.
func TestCountsAndAccessLog(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := greeter(t, "127.0.0.1:0", "one")
		core, lines := observer.New(zap.InfoLevel)
		s := start(t, engine, "127.0.0.1", up.Port(), func(o *Options) {
			o.Access, o.Log, o.MaxConnections = AccessAll, zap.New(core), 2
		})
		a, _ := greet(t, s)
		b, _ := greet(t, s)
		_, _, err := greeting(s)
		require.Error(t, err, "the third is one too many")
		fmt.Fprintln(a, "12345")
		_, err = bufio.NewReader(a).ReadString('\n')
		require.NoError(t, err)
		client := a.LocalAddr().String()
		a.Close()
		b.Close()
		require.Eventually(t, func() bool { return lines.FilterMessage("access").Len() == 3 }, 5*time.Second, 10*time.Millisecond)
		st := s.Stats()
		assert.EqualValues(t, 3, st.Accepted["in"])
		assert.EqualValues(t, 1, st.Refused[[2]string{"in", "limit_connections"}])
		assert.EqualValues(t, 2, st.Ended[[3]string{"in", "up", "client_closed"}])
		assert.EqualValues(t, 0, st.Active[[2]string{"in", "up"}])
		assert.Equal(t, relay.Bytes{Up: 6, Down: 4 + 4 + 6}, st.Bytes[[2]string{"in", "up"}])
		assert.EqualValues(t, 2, st.Connect["up"].Count)
		assert.EqualValues(t, 2, st.FirstByte["up"].Count)
		assert.EqualValues(t, 2, st.Duration["up"].Count)
		mine := lines.Filter(func(e observer.LoggedEntry) bool { return e.ContextMap()["client"] == client }).All()
		require.Len(t, mine, 1)
		got := mine[0].ContextMap()
		assert.Equal(t, "client_closed", got["reason"])
		assert.EqualValues(t, 6, got["bytes_up"])
		assert.EqualValues(t, 10, got["bytes_down"])
		assert.Equal(t, up.String(), got["upstream_addr"])
		assert.NotEmpty(t, got["local_addr"])
		assert.EqualValues(t, 1, got["attempts"])
	})
}

// A log that is stuck costs lines, never connections.
func TestStuckAccessLogBlocksNobody(t *testing.T) {
	up := greeter(t, "127.0.0.1:0", "one")
	gate := make(chan struct{})
	log := zap.New(stuckCore{zap.NewNop().Core(), gate})
	s := start(t, engines()[0], "127.0.0.1", up.Port(), func(o *Options) { o.Access, o.Log = AccessAll, log })
	for range accessQueue + 100 {
		c, line, err := greeting(s)
		require.NoError(t, err)
		require.Equal(t, "one\n", line)
		require.NoError(t, c.(*net.TCPConn).SetLinger(0))
		c.Close()
	}
	assert.Eventually(t, func() bool { return s.Stats().AccessDropped > 0 }, 10*time.Second, 10*time.Millisecond)
	close(gate)
}

// An upstream that stops answering is told once, shown in the status, and told again when it is back.
func TestFailingUpstreamIsTold(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addr := ln.Addr().String()
		ln.Close()
		core, lines := observer.New(zap.InfoLevel)
		s := start(t, engine, "127.0.0.1", netip.MustParseAddrPort(addr).Port(), func(o *Options) { o.Log = zap.New(core) })
		assert.False(t, s.Status().Upstreams[0].Failing, "nothing was tried yet")
		for range 3 {
			_, _, err := greeting(s)
			require.ErrorIs(t, err, syscall.ECONNRESET)
		}
		up := s.Status().Upstreams[0]
		assert.True(t, up.Failing)
		assert.Contains(t, up.Detail, "last: connect_refused at "+addr)
		assert.Equal(t, 1, s.Stats().Addresses[[2]string{"up", "failing"}])
		greeter(t, addr, "back")
		require.Eventually(t, func() bool { return lines.FilterMessageSnippet("every address of the upstream fails").Len() == 1 }, 5*time.Second, 10*time.Millisecond)
		_, line := greet(t, s)
		assert.Equal(t, "back\n", line)
		require.Eventually(t, func() bool { return lines.FilterMessage("upstream answers again").Len() == 1 }, 5*time.Second, 10*time.Millisecond)
		assert.False(t, s.Status().Upstreams[0].Failing)
	})
}

// A name that comes to point at the forwarder itself would send each connection round until every slot is taken.
func TestNameOfItselfIsLeftOut(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	port := ln.Addr().(*net.TCPAddr).AddrPort().Port()
	ln.Close()
	greeter(t, fmt.Sprintf("127.0.0.2:%d", port), "two")
	ns := startNameserver(t)
	ns.say(dns.RcodeSuccess, false, "127.0.0.1", "127.0.0.2")
	core, lines := observer.New(zap.ErrorLevel)
	s := start(t, engines()[0], "model.test", port, func(o *Options) {
		o.DNS.Servers, o.Log = []netip.AddrPort{ns.addr}, zap.New(core)
		o.Listeners[0].Addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
	})
	require.Eventually(t, func() bool { return s.UpstreamsReady() == nil }, 5*time.Second, 10*time.Millisecond)
	for range 5 {
		c, line := greet(t, s)
		assert.Equal(t, "two\n", line)
		c.Close()
	}
	assert.NotZero(t, lines.FilterMessageSnippet("own listener").Len())
	assert.Len(t, s.Status().Upstreams[0].Addresses, 1)

	ns.say(dns.RcodeSuccess, false, "127.0.0.1") // readiness said then that the name was being looked up
	why := fmt.Sprintf(`no address: 127.0.0.1:%d is this forwarder's own listener "in"`, port)
	require.Eventually(t, func() bool { return s.Status().Upstreams[0].Detail == why }, 5*time.Second, 10*time.Millisecond)
	assert.EqualError(t, s.UpstreamsReady(), `upstream "up" has `+why)
}

func TestPortInUseIsTold(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := greeter(t, "127.0.0.1:0", "one")
		s := start(t, engine, "127.0.0.1", up.Port(), nil)
		_, err := Start(Options{
			Engine: engine, Loops: 2,
			Listeners: []Listener{{Name: "in", Addr: s.Addrs()[0], Upstream: "up"}},
			Upstreams: []Upstream{{Name: "up", Host: "127.0.0.1", Port: up.Port()}},
		})
		var le *ListenError
		require.ErrorAs(t, err, &le)
		assert.Equal(t, s.Addrs()[0], le.Addr)
		assert.True(t, errors.Is(err, syscall.EADDRINUSE), err)
	})
}
