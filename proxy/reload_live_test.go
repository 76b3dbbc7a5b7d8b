package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// What a reload changes holds for clients that come after it; those that are there notice nothing.

// guest is a client that was greeted.
type guest struct {
	*testing.T
	conn net.Conn
	in   *bufio.Reader
	host string // who greeted
}

// enter connects, says what is first and wants to be greeted.
func (d *harness) enter(first ...byte) *guest {
	d.Helper()
	c := d.dial()
	_, err := c.Write(first)
	require.NoError(d, err)
	g := &guest{T: d.T, conn: c, in: bufio.NewReader(c)}
	g.host = g.reads()
	return g
}

func (g *guest) reads() string {
	g.Helper()
	line, err := g.in.ReadString('\n')
	require.NoError(g, err)
	return strings.TrimSpace(line)
}

func (g *guest) says(text string) {
	g.Helper()
	_, err := fmt.Fprintln(g.conn, text)
	require.NoError(g, err)
}

// lives wants that the connection still moves bytes both ways.
func (g *guest) lives() {
	g.Helper()
	g.says("still here")
	require.Equal(g, "still here", g.reads())
}

// leaves ends the connection and waits until that is counted.
func (d *harness) leaves(g *guest) {
	d.Helper()
	before := d.relay.Stats().Active
	g.conn.Close()
	require.Eventually(d, func() bool { return d.relay.Stats().Active < before }, 5*time.Second, time.Millisecond)
}

// turnsAway wants a client that says text to be refused for a reason, and waits until it counts no more as open.
func (d *harness) turnsAway(reason string, text ...byte) {
	d.Helper()
	before, active := d.refusals(reason), d.relay.Stats().Active
	got, _ := d.hello(text...)
	require.Empty(d, got)
	require.Eventually(d, func() bool { return d.refusals(reason) == before+1 && d.relay.Stats().Active <= active }, 5*time.Second, time.Millisecond, "refused with %s: %v", reason, d.Stats().Refused)
}

// refusals counts the clients that were turned away for a reason, when they came or on the way to an upstream.
func (d *harness) refusals(reason string) (n uint64) {
	st := d.Stats()
	for key, count := range st.Refused {
		if key[1] == reason {
			n += count
		}
	}
	for key, count := range st.Ended {
		if key[2] == reason {
			n += count
		}
	}
	return n
}

func (d *harness) reloads(change func(*Options)) {
	d.Helper()
	require.NoError(d, reloaded(d.Server, change))
}

// named is a server that says its name, then echoes.
func named(t *testing.T, name string) *server {
	return serve(t, func(c net.Conn) {
		fmt.Fprintln(c, name)
		_, _ = io.Copy(c, c)
	})
}

func TestReloadChangesRoutes(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one, two := tlsServer(t, "one.example"), tlsServer(t, "two.example")
		d := open(t, engine, Listener{Routes: []Route{{[]string{"one.example"}, "one"}}}, nil, to("one", one), to("two", two))
		ask := func(name string) (*guest, error) {
			c := tls.Client(d.dial(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if err := c.Handshake(); err != nil {
				return nil, err
			}
			g := &guest{T: t, conn: c, in: bufio.NewReader(c)}
			g.host = g.reads()
			return g, nil
		}
		live, err := ask("one.example")
		require.NoError(t, err)
		hello := clientHello(t, "one.example")
		half := d.dial() // in the middle of its preface while the routes change: those of its arrival hold
		_, err = half.Write(hello[:50])
		require.NoError(t, err)
		require.Eventually(t, func() bool { return d.relay.Stats().Active == 2 }, 5*time.Second, time.Millisecond)

		d.reloads(func(o *Options) { o.Listeners[0].Routes = []Route{{[]string{"two.example", "*.two.example"}, "two"}} })
		live.lives()
		_, err = ask("one.example")
		require.Error(t, err)
		require.EqualValues(t, 1, d.refusals("sni_unlisted"))
		later, err := ask("a.two.example")
		require.NoError(t, err)
		require.Equal(t, "two.example", later.host)
		before := one.accepted.Load()
		_, err = half.Write(hello[50:])
		require.NoError(t, err)
		require.Eventually(t, func() bool { return one.accepted.Load() == before+1 }, 5*time.Second, time.Millisecond)

		d.reloads(func(o *Options) { o.Listeners[0].Routes, o.Listeners[0].Upstream = nil, "two" })
		any, err := ask("any.example")
		require.NoError(t, err)
		require.Equal(t, "two.example", any.host)
		d.reloads(func(o *Options) { o.Listeners[0].Routes = []Route{{[]string{"one.example"}, "one"}} })
		again, err := ask("one.example")
		require.NoError(t, err)
		for _, g := range []*guest{live, later, any, again} {
			g.lives()
		}
	})
}

func TestReloadChangesAcceptProxy(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		d := open(t, engine, Listener{Upstream: "up"}, nil, to("up", named(t, "one")))
		mode := func(m AcceptProxy) { d.reloads(func(o *Options) { o.Listeners[0].AcceptProxy = m }) }
		header := proxyHeader(t, 2, trueClient, nil)
		plain := d.enter()
		mode(ProxyRequired)
		plain.lives()
		d.turnsAway("proxy_header_missing", []byte("GET / HTTP/1.1\r\n\r\n")...)
		told := d.enter(header...)
		require.Equal(t, "one", told.host)
		mode(ProxyOptional)
		_ = d.enter(header...)
		_ = d.enter([]byte("no header\n")...)
		mode(ProxyOff)
		require.Equal(t, "one", d.enter().host, "nothing has to be said first")
		told.lives()
		plain.lives()
	})
}

func TestReloadChangesLimits(t *testing.T) {
	limits := map[string]struct {
		reason string
		set    func(o *Options, most int)
	}{
		"per_source":      {"limit_source", func(o *Options, most int) { o.PerSource = most }},
		"max_connections": {"limit_connections", func(o *Options, most int) { o.MaxConnections = most }},
		"of the upstream": {"limit_upstream", func(o *Options, most int) { o.Upstreams[0].MaxConnections = most }},
	}
	for name, limit := range limits {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, engine string) {
				up := to("up", named(t, "one"))
				d := open(t, engine, Listener{Upstream: "up"}, func(o *Options) { o.Upstreams = []Upstream{up}; limit.set(o, 3) }, up)
				set := func(most int) { d.reloads(func(o *Options) { limit.set(o, most) }) }
				live := []*guest{d.enter(), d.enter(), d.enter()}
				d.turnsAway(limit.reason)
				set(2)
				for _, g := range live {
					g.lives()
				}
				d.turnsAway(limit.reason)
				d.leaves(live[0])
				d.turnsAway(limit.reason)
				d.leaves(live[1])
				_ = d.enter()
				d.turnsAway(limit.reason)
				set(4)
				_, _ = d.enter(), d.enter()
				d.turnsAway(limit.reason)
				live[2].lives()
				set(0)
				_ = d.enter()
				live[2].lives()
			})
		})
	}
}

func TestReloadChangesSources(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		d := open(t, engine, Listener{Upstream: "up"}, nil, to("up", named(t, "one")))
		allow := func(all ...netip.Prefix) { d.reloads(func(o *Options) { o.Listeners[0].AllowSources = all }) }
		live := d.enter()
		allow(netip.MustParsePrefix("10.0.0.0/8"))
		d.turnsAway("source_denied")
		live.lives()
		allow(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"))
		_ = d.enter()
		allow()
		_ = d.enter()
		live.lives()
	})
}

func TestReloadAddsMovesAndRemovesListeners(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		d := open(t, engine, Listener{Upstream: "up"}, nil, to("up", named(t, "one")))
		anywhere := netip.MustParseAddrPort("127.0.0.1:0")
		live, first := d.enter(), d.Addrs()[0]

		d.reloads(func(o *Options) {
			o.Listeners = append(o.Listeners, Listener{Name: "also", Addr: anywhere, Upstream: "up"})
		})
		require.Equal(t, first, d.Addrs()[0])
		second := d.Addrs()[1]
		c, err := net.Dial("tcp", second.String())
		require.NoError(t, err)
		defer c.Close()
		added := &guest{T: t, conn: c, in: bufio.NewReader(c)}
		require.Equal(t, "one", added.reads())

		moved := netip.MustParseAddrPort("127.0.0.2:0")
		d.reloads(func(o *Options) { o.Listeners[0].Addr = moved })
		require.Equal(t, moved.Addr(), d.Addrs()[0].Addr())
		require.Equal(t, second, d.Addrs()[1])
		_, err = net.Dial("tcp", first.String())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		there := d.enter()

		d.reloads(func(o *Options) { o.Listeners = o.Listeners[:1] })
		_, err = net.Dial("tcp", second.String())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		for _, g := range []*guest{live, added, there} {
			g.lives()
		}
		require.EqualValues(t, 1, d.Stats().Active[[2]string{"also", "up"}], "of a listener that is gone")
	})
}

func TestReloadChangesUpstreams(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		peers := make(chan net.Addr, 10)
		first := make(chan int, 10)
		up := to("up", serve(t, func(c net.Conn) {
			peers <- c.RemoteAddr()
			_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			found, err := readHeader(c)
			_ = c.SetReadDeadline(time.Time{})
			if err != nil {
				found.Version = 0
			}
			first <- found.Version
			fmt.Fprintln(c, "one")
			_, _ = io.Copy(c, c)
		}))
		d := open(t, engine, Listener{Upstream: "up"}, nil, up)
		change := func(f func(*Upstream)) { d.reloads(func(o *Options) { f(&o.Upstreams[0]) }) }
		live := d.enter()
		require.Zero(t, <-first)
		<-peers

		for _, version := range []int{2, 1, 0} {
			change(func(u *Upstream) { u.SendProxy = SendProxy(version) })
			_ = d.enter()
			require.Equal(t, version, <-first)
			<-peers
		}
		if runtime.GOOS == "linux" { // where all of 127/8 is of this machine
			change(func(u *Upstream) { u.SourceAddresses = []netip.Addr{netip.MustParseAddr("127.0.0.5")} })
			_ = d.enter()
			require.Equal(t, "127.0.0.5", (<-peers).(*net.TCPAddr).IP.String())
			change(func(u *Upstream) { u.SourceAddresses = nil })
			_ = d.enter()
			require.Equal(t, "127.0.0.1", (<-peers).(*net.TCPAddr).IP.String())
			require.ErrorContains(t, reloaded(d.Server, func(o *Options) {
				o.Upstreams[0].SourceAddresses = []netip.Addr{netip.MustParseAddr("192.0.2.7")}
			}), "192.0.2.7 is not an address of this machine")
		}
		live.lives()
	})
}

func TestReloadChangesHowAddressesAreJudged(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127/8 on its loopback interface")
	}
	eachEngine(t, func(t *testing.T, engine string) {
		one := greeter(t, "127.0.0.71:0", "one")                    // addresses at which no other test has ports
		greeter(t, fmt.Sprintf("127.0.0.72:%d", one.Port()), "two") // nobody is at 127.0.0.73
		ns := startNameserver(t)
		ns.say(dns.RcodeSuccess, false, "127.0.0.71", "127.0.0.72")
		up := Upstream{Name: "up", Host: "model.test", Port: one.Port(), Balance: First, ConnectTimeout: time.Second}
		d := open(t, engine, Listener{Upstream: "up"}, func(o *Options) {
			o.DNS = DNS{Servers: []netip.AddrPort{ns.addr}, MinTTL: 100 * time.Millisecond}
		}, up)
		require.Eventually(t, func() bool { return d.UpstreamsReady() == nil }, 5*time.Second, 5*time.Millisecond)
		change := func(f func(*Upstream)) { d.reloads(func(o *Options) { f(&o.Upstreams[0]) }) }
		hosts := func(n int) map[string]int {
			met := make(map[string]int)
			for range n {
				g := d.enter()
				met[g.host]++
				d.leaves(g)
			}
			return met
		}
		live := d.enter()
		require.Len(t, hosts(6), 1)
		change(func(u *Upstream) { u.Balance = RoundRobin })
		require.Equal(t, map[string]int{"one": 3, "two": 3}, hosts(6))
		change(func(u *Upstream) { u.Balance = First })
		require.Len(t, hosts(6), 1)

		ns.say(dns.RcodeSuccess, false, "127.0.0.71", "127.0.0.73")
		change(func(u *Upstream) {
			u.Balance, u.Check = RoundRobin, Check{Type: CheckTCP, Interval: 50 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 1}
		})
		state := func(s string) func() bool {
			return func() bool { return d.Stats().Addresses[[2]string{"up", s}] == 1 }
		}
		require.Eventually(t, state("check_failed"), 5*time.Second, 5*time.Millisecond)
		change(func(u *Upstream) {
			u.Check, u.Outlier = Check{}, Outlier{Failures: 1, Ejection: time.Minute, MaxEjectedPercent: 50}
		})
		require.Eventually(t, func() bool { hosts(2); return state("ejected")() }, 5*time.Second, 5*time.Millisecond)
		change(func(u *Upstream) { u.Outlier = Outlier{} })
		require.Eventually(t, func() bool { hosts(2); return state("failing")() }, 5*time.Second, 5*time.Millisecond)
		require.Zero(t, d.Stats().Addresses[[2]string{"up", "ejected"}])
		live.lives()
	})
}
