package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

func twoRoutes() []Route {
	return []Route{
		{SNI: []string{"one.example", "*.one.example"}, Upstream: "one"},
		{SNI: []string{"two.example", "*.one.example"}, Upstream: "two"},
	}
}

// Two TLS servers are reached by their names through one port, each name by the first route that has it.
func TestRoutesByName(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one, two := tlsServer(t, "one.example"), tlsServer(t, "two.example")
		d := open(t, engine, Listener{Routes: twoRoutes()}, nil, to("one", one), to("two", two))
		for name, want := range map[string]string{
			"one.example": "one", "two.example": "two", "TWO.example": "two", "a.one.example": "one",
		} {
			c := tls.Client(d.dial(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
			line, err := bufio.NewReader(c).ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, want+".example\n", line)
			require.EqualValues(t, 1, d.Stats().Active[[2]string{"in", want}])
			require.EqualValues(t, 0, d.Stats().Active[[2]string{"in", ""}])
			require.EqualValues(t, 1, d.Status().Listeners[0].Active)
			c.Close()
			got := d.ended()
			require.Equal(t, want, got["upstream"])
			require.NotEqual(t, "", got["sni"])
		}
		require.EqualValues(t, 2, one.accepted.Load())
		require.Equal(t, "one,two", d.Status().Listeners[0].Upstream)
	})
}

// What matches no route, or names no host, is refused and never dialed.
func TestNameWithoutRouteIsNeverDialed(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one := tlsServer(t, "one.example")
		d := open(t, engine, Listener{Routes: []Route{{SNI: []string{"one.example", "*.one.example"}, Upstream: "one"}}}, nil, to("one", one))
		line := d.refused("sni_unlisted", clientHello(t, "three.example"))
		require.Equal(t, "three.example", line["sni"])
		require.Empty(t, line["upstream"])
		d.refused("sni_unlisted", clientHello(t, "a.b.one.example"))
		d.refused("sni_unlisted", clientHello(t, "one.example.evil.example"))
		d.refused("sni_missing", clientHello(t, "192.0.2.1"))
		line = d.refused("hello_bad", []byte("GET / HTTP/1.1\r\nHost: one.example\r\n\r\n"))
		require.Contains(t, line["detail"], "HTTP")
		require.NotContains(t, d.ended0(clientHello(t, "one.example")), "detail")
		require.EqualValues(t, 1, one.accepted.Load())
	})
}

// ended0 has a client say hello and leave, whatever comes of it, and returns the access-log line.
func (d *harness) ended0(text []byte) map[string]any {
	d.Helper()
	_, _ = d.hello(text...)
	return d.ended()
}

// A ClientHello that comes byte by byte is routed, and arrives unaltered.
func TestHelloByteByByte(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		said := make(chan string, 1)
		up := serve(t, func(c net.Conn) {
			b := make([]byte, 1<<16)
			n := 0
			for {
				m, err := c.Read(b[n:])
				if n += m; err != nil {
					said <- string(b[:n])
					return
				}
			}
		})
		d := open(t, engine, Listener{Routes: twoRoutes()[:1]}, nil, to("one", up))
		c := d.dial()
		hello := clientHello(t, "one.example")
		for _, b := range hello {
			_, err := c.Write([]byte{b})
			require.NoError(t, err)
		}
		_, err := fmt.Fprint(c, "and more")
		require.NoError(t, err)
		require.NoError(t, c.CloseWrite())
		require.Equal(t, string(hello)+"and more", <-said)
		require.EqualValues(t, len(hello)+8, d.ended()["bytes_up"])
	})
}

// Clients that say too little are closed when time is up, silent ones and dribbling ones, and count as nobody's.
func TestSlowClientsAreClosed(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one := tlsServer(t, "one.example")
		d := open(t, engine, Listener{Routes: twoRoutes()[:1]}, func(o *Options) {
			o.PrefaceTimeout, o.Access = 400*time.Millisecond, AccessOff
		}, to("one", one))
		hello := clientHello(t, "one.example")
		const clients = 50
		for i := range clients {
			c := d.dial()
			_, err := c.Write(hello[:i%len(hello)])
			require.NoError(t, err)
			go func() { // until it is closed
				for j := i; ; j++ {
					time.Sleep(100 * time.Millisecond)
					if _, err := c.Write(hello[j%100 : j%100+1]); err != nil {
						return
					}
				}
			}()
		}
		require.Eventually(t, func() bool { return d.Stats().Active[[2]string{"in", ""}] > 0 }, 5*time.Second, time.Millisecond)
		require.Eventually(t, func() bool { return d.Stats().Relay.Active == 0 }, 5*time.Second, 10*time.Millisecond)
		require.EqualValues(t, clients, d.Stats().Refused[[2]string{"in", "preface_timeout"}]+d.Stats().Refused[[2]string{"in", "hello_bad"}])
		require.NotZero(t, d.Stats().Refused[[2]string{"in", "preface_timeout"}])
		require.Zero(t, one.accepted.Load())
	})
}

// A health check of a plain TCP load balancer counts where no route was chosen.
func TestProbeOfAListenerWithRoutes(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		d := open(t, engine, Listener{Routes: twoRoutes()[:1]}, nil, to("one", tlsServer(t, "one.example")))
		d.dial().Close()
		line := d.ended()
		require.Equal(t, "probe", line["reason"])
		require.Equal(t, "", line["upstream"])
		require.EqualValues(t, 1, d.Stats().Ended[[3]string{"in", "", "probe"}])
		require.Empty(t, d.Stats().Refused)
	})
}

// Two listeners share an upstream, and one upstream serves a listener by a route and another without: each is counted apart.
func TestListenersShareUpstreams(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one := tlsServer(t, "one.example")
		d := open(t, engine, Listener{Routes: twoRoutes()[:1]}, func(o *Options) {
			o.Listeners = append(o.Listeners, Listener{Name: "plain", Addr: netip.MustParseAddrPort("127.0.0.1:0"), Upstream: "one"})
		}, to("one", one))
		for i, name := range []string{"in", "plain"} {
			c, err := tls.Dial("tcp", d.Addrs()[i].String(), &tls.Config{ServerName: "one.example", InsecureSkipVerify: true})
			require.NoError(t, err)
			c.Close()
			line := d.ended()
			require.Equal(t, name, line["listener"])
			require.Equal(t, "one", line["upstream"])
		}
		st := d.Stats()
		require.NotZero(t, st.Bytes[[2]string{"in", "one"}].Up)
		require.NotZero(t, st.Bytes[[2]string{"plain", "one"}].Up)
		require.EqualValues(t, 2, one.accepted.Load())
	})
}

func TestRulesThatDoNotFit(t *testing.T) {
	up := Upstream{Name: "up", Host: "127.0.0.1", Port: 1}
	for want, in := range map[string]Listener{
		`there is no upstream "down"`: {Routes: []Route{{SNI: []string{"a.example"}, Upstream: "down"}}},
		"is a URL":                    {Routes: []Route{{SNI: []string{"https://a.example"}, Upstream: "up"}}},
		"VPC endpoint id":             {Upstream: "up", AcceptProxy: ProxyRequired, AllowVPCE: []string{"x"}},
		"only where PROXY headers":    {Upstream: "up", AllowVPCE: []string{endpointID}},
	} {
		in.Name, in.Addr = "in", netip.MustParseAddrPort("127.0.0.1:0")
		_, err := Start(Options{Engine: "portable", Listeners: []Listener{in}, Upstreams: []Upstream{up}})
		require.ErrorContains(t, err, want)
	}
	_, err := Start(Options{Engine: "portable", AcceptRate: -1, Upstreams: []Upstream{up},
		Listeners: []Listener{{Name: "in", Addr: netip.MustParseAddrPort("127.0.0.1:0"), Upstream: "up"}}})
	require.Error(t, err)
	lost, err := Unreached(append(twoRoutes(), Route{SNI: []string{"x.one.example", "three.example"}, Upstream: "three"}))
	require.NoError(t, err)
	require.Equal(t, [][]string{nil, {"*.one.example"}, {"x.one.example"}}, lost)
	require.Equal(t, "sni_unlisted", relay.SNIUnlisted.String())
}
