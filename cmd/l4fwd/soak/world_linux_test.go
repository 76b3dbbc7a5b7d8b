package soak

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/testport"
)

const (
	// soakLearn is how long a change of DNS may take to be known to l4fwd: dns.min_ttl, a lost packet, a busy machine.
	soakLearn = 2 * time.Second
	// soakAnchor is how long an address must have been live and listed before the others may go, so that a connect
	// attempt of up to 4 s always has one that lives throughout.
	soakAnchor = soakLearn + 4*time.Second

	soakCloseAfter = time.Second // on_removed of the upstream that closes
	soakTLV        = "\xea\x00\x0a\x01vpce-soak"
)

// soakUpstream is a name with eight addresses, of which DNS lists some.
type soakUpstream struct {
	name    string
	index   int
	port    int
	hellos  [][]byte // what its clients begin with, one of these; nil: nothing
	proxied bool     // they begin with a PROXY header
	closes  bool     // on_removed: close_after
	warm    bool     // connections to it are kept ready
	servers []*soakServer
	listed  []soakSpans // by address
	outages soakSpans   // of its name
	frozen  time.Time   // nothing may change before, since its name does not resolve
	mute    bool
}

// soakWorld is what l4fwd meets: the upstreams and their DNS.
type soakWorld struct {
	s       *soak
	hellos  map[string][]byte // by name
	dns     string
	mu      sync.Mutex // of what upstreams list and whether they are frozen
	ups     []*soakUpstream
	serving sync.RWMutex // held while a name does not resolve, and for reading while new ones may be asked for
}

func newSoakWorld(s *soak) *soakWorld {
	w := &soakWorld{s: s, hellos: map[string][]byte{}}
	for _, name := range []string{"one.soak", "two.soak", "either.soak", "unlisted.soak"} {
		w.hellos[name] = helloOf(s, name)
	}
	hellos := func(names ...string) (all [][]byte) {
		for _, n := range names {
			all = append(all, w.hellos[n])
		}
		return all
	}
	w.ups = []*soakUpstream{
		{name: "plain"},
		{name: "one", warm: true, hellos: hellos("one.soak", "either.soak")},
		{name: "two", hellos: hellos("two.soak", "either.soak")},
		{name: "behind", proxied: true, closes: true},
	}
	for i, u := range w.ups {
		u.index = i
		_, port, err := net.SplitHostPort(testport.Free(s.t))
		require.NoError(s.t, err)
		u.port, err = strconv.Atoi(port)
		require.NoError(s.t, err)
		u.listed = make([]soakSpans, 8)
		for k := range u.listed {
			u.listed[k].open(time.Time{})
			addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + k)}), uint16(u.port))
			v := &soakServer{s: s, up: u, index: k, addr: addr, conns: map[*net.TCPConn]*soakLife{}}
			u.servers = append(u.servers, v)
			v.live()
			v.lived.all[0].from = time.Time{}
		}
	}
	s.t.Cleanup(w.end)
	w.dns = w.nameserver()
	return w
}

// helloOf returns the ClientHello of Go's TLS client for a name.
func helloOf(s *soak, name string) []byte {
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		defer near.Close()
		_ = tls.Client(near, &tls.Config{ServerName: name}).Handshake() // nobody answers
	}()
	b := make([]byte, 4096)
	n, err := far.Read(b)
	require.NoError(s.t, err)
	return b[:n]
}

func (w *soakWorld) end() {
	for _, u := range w.ups {
		for _, v := range u.servers {
			if _, lives := v.lived.now(); lives {
				v.die(dieByReset)
			}
			v.mu.Lock()
			v.brighten()
			v.bury()
			for _, c := range v.hole {
				c.Close()
			}
			v.mu.Unlock()
			v.serving.Wait()
		}
	}
}

// nameserver answers for NAME.soak with what the upstream lists, as good for no time at all.
func (w *soakWorld) nameserver() string {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(w.s.t, err)
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(rw dns.ResponseWriter, q *dns.Msg) {
		if m := w.answer(q); m != nil {
			_ = rw.WriteMsg(m) // the asker may be gone
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ActivateAndServe() }()
	w.s.t.Cleanup(func() { _ = srv.Shutdown(); <-done })
	return pc.LocalAddr().String()
}

func (w *soakWorld) answer(q *dns.Msg) *dns.Msg {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := new(dns.Msg).SetReply(q)
	for _, u := range w.ups {
		if !strings.HasPrefix(q.Question[0].Name, u.name+".") {
			continue
		}
		if u.mute {
			if rand.IntN(2) == 0 {
				return nil
			}
			m.Rcode = dns.RcodeServerFailure
			return m
		}
		for k, v := range u.servers {
			if _, listed := u.listed[k].now(); listed && q.Question[0].Qtype == dns.TypeA {
				m.Answer = append(m.Answer, &dns.A{
					Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: v.addr.Addr().AsSlice(),
				})
			}
		}
	}
	return m
}

// server returns the one at an address, nil if there is none.
func (w *soakWorld) server(addr string) *soakServer {
	for _, u := range w.ups {
		for _, v := range u.servers {
			if v.addr.String() == addr {
				return v
			}
		}
	}
	return nil
}
