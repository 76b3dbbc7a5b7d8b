package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/health/probe"
	"github.com/l4fwd/l4fwd/proxy/preface"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// echoServer sends back what it gets.
func echoServer(t *testing.T) *server {
	return serve(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
}

func prefixes(all ...string) (ps []netip.Prefix) {
	for _, s := range all {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// The source that a header names is the client: it is judged and logged. The header does not reach the upstream.
func TestProxyHeaderNamesTheClient(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := echoServer(t)
		d := open(t, engine, Listener{
			Upstream: "up", AcceptProxy: ProxyRequired, AllowSources: prefixes("10.1.0.0/16", "fd00::/8"),
		}, nil, to("up", up))
		tlvs := slices.Concat(tlvOf(0x04, "pad"), vpceTLV(endpointID))
		for _, c := range []struct {
			version int
			from    string
			vpce    string
		}{{1, "10.1.2.3:40000", ""}, {2, "10.1.2.3:40000", endpointID}, {2, "[fd00::1]:40000", endpointID}, {1, "[fd00::1]:1", ""}} {
			got, err := d.hello(append(proxyHeader(t, c.version, netip.MustParseAddrPort(c.from), tlvs), "payload"...)...)
			require.NoError(t, err)
			require.Equal(t, "payload", got)
			line := d.ended()
			require.Equal(t, c.from, line["client"])
			require.Equal(t, c.vpce, line["vpce"])
			require.EqualValues(t, 7, line["bytes_up"])
			require.Equal(t, "client_closed", line["reason"])
		}
		require.EqualValues(t, 4, up.accepted.Load())

		denied := netip.MustParseAddrPort("10.2.0.1:1")
		for _, version := range []int{1, 2} {
			line := d.refused("source_denied", append(proxyHeader(t, version, denied, nil), "payload"...))
			require.Equal(t, denied.String(), line["client"])
		}
		require.NotEmpty(t, d.refused("proxy_header_missing", []byte("payload"))["detail"])
		d.refused("proxy_header_bad", []byte("PROXY TCP4 10.1.2.3 10.9.9.9 1 99999\r\n"))
		d.refused("proxy_header_bad", []byte("PROXY TCP4 10.1.2.3"))
		d.refused("proxy_header_bad", []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"))
		bad := proxyHeader(t, 2, trueClient, tlvOf(0x03, "\x01\x02\x03\x04"))
		bad[len(bad)-1]++
		d.refused("proxy_header_bad", bad)
		require.EqualValues(t, 4, up.accepted.Load(), "none of them was dialed")
	})
}

// A header cut anywhere is the same header; so it is with its payload in the same segment.
func TestProxyHeaderSplitAnywhere(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		d := open(t, engine, Listener{Upstream: "up", AcceptProxy: ProxyOptional}, nil, to("up", echoServer(t)))
		for _, version := range []int{1, 2} {
			header := proxyHeader(t, version, trueClient, vpceTLV(endpointID))
			all := append(slices.Clone(header), "payload"...)
			for cut := 1; cut < len(all); cut += 1 + cut/16 {
				c := d.dial()
				_, err := c.Write(all[:cut])
				require.NoError(t, err)
				_, err = c.Write(all[cut:])
				require.NoError(t, err)
				require.NoError(t, c.CloseWrite())
				got, err := io.ReadAll(c)
				require.NoError(t, err)
				require.Equal(t, "payload", string(got), "cut after %d", cut)
				require.Equal(t, trueClient.String(), d.ended()["client"])
			}
		}
		got, err := d.hello([]byte("no header")...)
		require.NoError(t, err)
		require.Equal(t, "no header", got)
		require.Contains(t, d.ended()["client"], "127.0.0.1:")
	})
}

// A valid header that names no TCP client leaves the connection its own addresses, and one that names a client of another family
// than the listener's is read as what it is. Both were refused (PROXY specification, 2.2; nginx's stream module).
func TestHeadersThatNameNoClientOrOneOfAnotherFamily(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		d := open(t, engine, Listener{
			Upstream: "up", AcceptProxy: ProxyRequired, AllowSources: prefixes("127.0.0.0/8", "2001:db8::/32"),
		}, nil, to("up", echoServer(t)))
		const v2 = "\r\n\r\n\x00\r\nQUIT\n\x21"
		for header, client := range map[string]string{
			v2 + "\x00\x00\x00": "127.0.0.1:",
			v2 + "\x00\x00\x1a" + string(vpceTLV(endpointID)): "127.0.0.1:",
			v2 + "\x31\x00\xd8" + strings.Repeat("/", 216):    "127.0.0.1:",
			"PROXY TCP6 2001:db8::7 192.0.2.1 51512 443\r\n":  "[2001:db8::7]:51512",
		} {
			got, err := d.hello([]byte(header + "payload")...)
			require.NoError(t, err)
			require.Equal(t, "payload", got)
			line := d.ended()
			require.Contains(t, line["client"], client)
			require.Equal(t, strings.Contains(header, endpointID), line["vpce"] == endpointID)
		}
	})
}

// An NLB's health checks are probes, whatever they end with. They are dialed for nobody and judged by nothing.
func TestHealthChecksOfAnNLBLeaveNoTrace(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := echoServer(t)
		for _, routes := range [][]Route{nil, {{SNI: []string{"one.example"}, Upstream: "up"}}} {
			d := open(t, engine, Listener{
				Upstream: "up", Routes: routes, AcceptProxy: ProxyRequired, AllowSources: prefixes("10.1.0.0/16"), AllowVPCE: []string{endpointID},
			}, func(o *Options) { o.PrefaceTimeout = 400 * time.Millisecond }, to("up", up))
			for _, end := range []func(*net.TCPConn){
				func(c *net.TCPConn) { c.CloseWrite() },
				func(c *net.TCPConn) { c.SetLinger(0); c.Close() },
				func(*net.TCPConn) {}, // leaves it open
			} {
				for _, probe := range [][]byte{nil, nlbProbe(), []byte("PROXY UNKNOWN\r\n")} {
					c := d.dial()
					_, err := c.Write(probe)
					require.NoError(t, err)
					d.awaitFlow(func(f *relay.Flow) bool { // a reset overtakes what was not read
						ses := sessionOf(f)
						return ses != nil && (probe == nil || ses.parser.Result.Local)
					})
					end(c)
					line := d.ended()
					require.Equal(t, "probe", line["reason"])
					require.NotContains(t, line, "detail")
				}
			}
			require.Empty(t, d.Stats().Refused)
			var ended uint64
			for key, n := range d.Stats().Ended {
				require.Equal(t, "probe", key[2])
				ended += n
			}
			require.EqualValues(t, 9, ended)
		}
		require.Zero(t, up.accepted.Load())
	})
}

// Behind a PROXY header the endpoint counts, and the name after it.
func TestEndpointsAndNamesTogether(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one := tlsServer(t, "one.example")
		d := open(t, engine, Listener{
			Routes: twoRoutes()[:1], AcceptProxy: ProxyOptional, AllowVPCE: []string{endpointID},
		}, nil, to("one", one))
		hello := clientHello(t, "one.example")
		good := proxyHeader(t, 2, trueClient, vpceTLV(endpointID))
		line := d.ended0(slices.Concat(good, hello))
		require.Equal(t, "one", line["upstream"])
		require.EqualValues(t, len(hello), line["bytes_up"])
		other := proxyHeader(t, 2, trueClient, vpceTLV("vpce-0aaaaaaaaaaaaaaaa"))
		require.Equal(t, "vpce-0aaaaaaaaaaaaaaaa", d.refused("vpce_denied", slices.Concat(other, hello))["vpce"])
		d.refused("vpce_denied", slices.Concat(proxyHeader(t, 2, trueClient, nil), hello))
		d.refused("vpce_denied", hello)
		d.refused("sni_unlisted", slices.Concat(good, clientHello(t, "two.example")))
		d.refused("hello_bad", slices.Concat(good, good, hello))
		require.EqualValues(t, 1, one.accepted.Load())
	})
}

func TestSourcesWithoutHeaders(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		up := echoServer(t)
		d := open(t, engine, Listener{Upstream: "up", AllowSources: prefixes("10.0.0.0/8")}, nil, to("up", up))
		d.refused("source_denied", nil)
		d = open(t, engine, Listener{Upstream: "up", AllowSources: prefixes("127.0.0.0/8")}, nil, to("up", up))
		got, err := d.hello([]byte("hello")...)
		require.NoError(t, err)
		require.Equal(t, "hello", got)
		require.EqualValues(t, 1, up.accepted.Load())
	})
}

// The upstream is told who the client is, whoever told us; with version 2 all that the load balancer said of it.
func TestSendProxy(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		heard := make(chan preface.Result, 1)
		up := serve(t, func(c net.Conn) {
			found, err := readHeader(c)
			if err != nil {
				found.SNI = err.Error()
			}
			heard <- found
			_, _ = io.Copy(c, c)
		})
		tlvs := slices.Concat(vpceTLV(endpointID), tlvOf(0xe0, "mine"))
		for _, version := range []int{1, 2} {
			for _, mode := range []AcceptProxy{ProxyOff, ProxyOptional} {
				u := to("up", up)
				u.SendProxy = SendProxy(version)
				d := open(t, engine, Listener{Upstream: "up", AcceptProxy: mode}, nil, u)
				c := d.dial()
				want := preface.Result{Version: version, Source: c.LocalAddr().(*net.TCPAddr).AddrPort(), Dest: d.Addrs()[0]}
				if mode != ProxyOff {
					_, err := c.Write(proxyHeader(t, 2, trueClient, tlvs))
					require.NoError(t, err)
					want.Source, want.Dest = trueClient, trueDest
					if version == 2 {
						want.TLVs, want.VPCE = tlvs, endpointID
					}
				}
				require.Equal(t, want, <-heard, "before the client says anything")
				_, err := io.WriteString(c, "payload")
				require.NoError(t, err)
				require.NoError(t, c.CloseWrite())
				got, err := io.ReadAll(c)
				require.NoError(t, err)
				require.Equal(t, "payload", string(got))
				require.EqualValues(t, 7, d.ended()["bytes_up"])
				require.EqualValues(t, 7, d.Stats().Bytes[[2]string{"in", "up"}].Up)
			}
		}
	})
}

// A source has its share, counted by the address that the header names, and gets it back as connections end.
func TestLimitOfASource(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		for _, mode := range []AcceptProxy{ProxyOff, ProxyRequired} {
			d := open(t, engine, Listener{Upstream: "up", AcceptProxy: mode}, func(o *Options) { o.PerSource = 2 }, to("up", echoServer(t)))
			enter := func(from netip.AddrPort) net.Conn {
				c := d.dial()
				text := []byte("x")
				if mode == ProxyRequired {
					text = append(proxyHeader(t, 1, from, nil), text...)
				}
				_, err := c.Write(text)
				require.NoError(t, err)
				_, err = io.ReadFull(c, make([]byte, 1))
				require.NoError(t, err)
				return c
			}
			first := enter(trueClient)
			enter(trueClient)
			text := []byte("x")
			if mode == ProxyRequired {
				enter(netip.MustParseAddrPort("10.1.2.4:1"))
				text = append(proxyHeader(t, 1, trueClient, nil), text...)
			}
			for range 3 {
				d.refused("limit_source", text)
			}
			first.Close()
			require.Equal(t, "client_closed", d.ended()["reason"])
			enter(trueClient)
		}
	})
}

func TestAcceptRate(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		d := open(t, engine, Listener{Upstream: "up"}, func(o *Options) { o.AcceptRate, o.Access = 3, AccessOff }, to("up", echoServer(t)))
		served := 0
		begun := time.Now()
		for range 10 {
			if got, _ := d.hello('x'); got == "x" {
				served++
			}
		}
		most := 3 + int(3*time.Since(begun).Seconds()) + 1
		require.True(t, served >= 3 && served <= most, "%d served, at most %d", served, most)
		require.Eventually(t, func() bool {
			return d.Stats().Refused[[2]string{"in", "limit_rate"}] == uint64(10-served)
		}, 5*time.Second, 5*time.Millisecond)
	})
}

// Attempts that fail go on at the next address, with what is known of the client.
func TestHeaderSurvivesFailedAttempts(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		heard := make(chan preface.Result, 1)
		up := serve(t, func(c net.Conn) {
			found, _ := readHeader(c)
			heard <- found
		})
		ns := startNameserver(t)
		ns.say(0, false, "127.0.0.2", "127.0.0.1", "127.0.0.3")
		u := Upstream{Name: "up", Host: "model.test", Port: up.addr.Port(), SendProxy: 2}
		d := open(t, engine, Listener{Upstream: "up", AcceptProxy: ProxyRequired}, func(o *Options) {
			o.DNS = DNS{Servers: []netip.AddrPort{ns.addr}, MinTTL: time.Second}
			o.PerSource = 1
		}, u)
		require.Eventually(t, func() bool { return d.UpstreamsReady() == nil }, 5*time.Second, 10*time.Millisecond)
		for range 5 {
			_, err := d.hello(proxyHeader(t, 2, trueClient, vpceTLV(endpointID))...)
			require.NoError(t, err)
			require.Equal(t, endpointID, (<-heard).VPCE)
			d.ended()
		}
		require.NotZero(t, d.Stats().Dials[[2]string{"up", "connect_refused"}])
	})
}

// A check of an upstream that wants a PROXY header sends one, which names nobody.
func TestChecksSendAHeader(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"one.example"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	heard := make(chan preface.Result, 1)
	up := serve(t, func(c net.Conn) {
		found, err := readHeader(c)
		if err != nil {
			return
		}
		heard <- found
		_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}).Handshake()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, version := range []int{1, 2} {
		_, err := probe.TLS(ctx, probe.TLSRequest{Addr: up.addr, ServerName: "one.example", Roots: roots, First: CheckHeader(SendProxy(version))})
		require.NoError(t, err)
		require.Equal(t, preface.Result{Version: version, Local: true}, <-heard)
	}
	_, err = probe.TLS(ctx, probe.TLSRequest{Addr: up.addr, ServerName: "one.example", Roots: roots})
	require.Error(t, err)
}
