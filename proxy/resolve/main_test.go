package resolve

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a real DNS server on loopback, UDP and TCP on one port, that counts what
// it is asked for.
type server struct {
	addr netip.AddrPort

	mu    sync.Mutex
	asked []string // "udp A www.test."
}

// handler answers a query, or returns nil to stay silent.
type handler func(network string, q *dns.Msg) *dns.Msg

func serve(t *testing.T, h handler) *server {
	t.Helper()
	s := &server{}
	return s.start(t, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		network := w.RemoteAddr().Network()
		s.note(network, q)
		if m := h(network, q); m != nil {
			_ = w.WriteMsg(m)
		}
	}))
}

// serveRaw is serve for answers that no library would make.
func serveRaw(t *testing.T, h func(network string, q *dns.Msg, w dns.ResponseWriter)) *server {
	t.Helper()
	s := &server{}
	return s.start(t, dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		network := w.RemoteAddr().Network()
		s.note(network, q)
		h(network, q, w)
	}))
}

func (s *server) start(t *testing.T, h dns.Handler) *server {
	t.Helper()
	pc, l := listenBoth(t)
	s.addr = netip.MustParseAddrPort(pc.LocalAddr().String())
	for _, srv := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
		up, ended := make(chan struct{}), make(chan struct{})
		srv.NotifyStartedFunc = func() { close(up) }
		go func() {
			defer close(ended)
			_ = srv.ActivateAndServe()
		}()
		<-up
		t.Cleanup(func() {
			_ = srv.Shutdown()
			<-ended
		})
	}
	return s
}

// listenBoth binds the same free port for UDP and TCP.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		pc, err := net.ListenPacket("udp", l.Addr().String())
		if err == nil {
			return pc, l
		}
		l.Close()
	}
	t.Fatal("no port that is free for both UDP and TCP")
	return nil, nil
}

func (s *server) note(network string, q *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, fmt.Sprintf("%s %s %s", network, dns.TypeToString[q.Question[0].Qtype], q.Question[0].Name))
}

// count returns how many queries began so.
func (s *server) count(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, a := range s.asked {
		if strings.HasPrefix(a, prefix) {
			n++
		}
	}
	return n
}

// names returns the names asked for with A, in order.
func (s *server) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, a := range s.asked {
		if f := strings.Fields(a); f[1] == "A" {
			names = append(names, f[2])
		}
	}
	return names
}

// zone answers like a recursive server that knows these records (in master file
// format): following aliases within them, NXDOMAIN or NODATA with an SOA of 7 s.
type zone []dns.RR

func rrs(t testing.TB, lines ...string) zone {
	t.Helper()
	var z zone
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		require.NoError(t, err, l)
		z = append(z, rr)
	}
	return z
}

func (z zone) answer(_ string, q *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	at, known := q.Question[0].Name, false
	for hop := 0; hop < 40; hop++ {
		next := ""
		for _, rr := range z {
			if !strings.EqualFold(rr.Header().Name, at) {
				continue
			}
			known = true
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			} else if c, ok := rr.(*dns.CNAME); ok {
				m.Answer, next = append(m.Answer, rr), c.Target
			}
		}
		if next == "" {
			break
		}
		at, known = next, false
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	if n := len(m.Answer); n == 0 || m.Answer[n-1].Header().Rrtype == dns.TypeCNAME {
		m.Ns = append(m.Ns, soa(7))
	}
	return m
}

func soa(seconds uint32) dns.RR {
	return &dns.SOA{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: seconds}, Ns: ".", Mbox: ".", Minttl: seconds}
}

func rcode(code int) handler {
	return func(_ string, q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, code) }
}

func silent(string, *dns.Msg) *dns.Msg { return nil }

// switchable is a handler that can be changed while the server runs.
type switchable struct{ h atomic.Pointer[handler] }

func (s *switchable) set(h handler) { s.h.Store(&h) }

func (s *switchable) answer(network string, q *dns.Msg) *dns.Msg { return (*s.h.Load())(network, q) }

// lookups collects what OnLookup tells.
type lookups chan Lookup

func (l lookups) next(t testing.TB) Lookup {
	t.Helper()
	select {
	case one := <-l:
		return one
	case <-time.After(10 * time.Second):
		t.Fatal("no lookup within 10s")
		return Lookup{}
	}
}

// until skips lookups up to the first with the result.
func (l lookups) until(t testing.TB, want Result) Lookup {
	t.Helper()
	for {
		if one := l.next(t); one.Result == want {
			return one
		}
	}
}

// watch starts to watch a name with a resolver for this test.
func watch(t *testing.T, o Options, name string) (*Name, lookups) {
	t.Helper()
	l := make(lookups, 1000)
	o.OnLookup = func(one Lookup) { l <- one }
	if o.Hosts == "" {
		o.Hosts = filepath.Join(t.TempDir(), "none")
	}
	r := New(o)
	t.Cleanup(r.Close)
	n, err := r.Watch(name, nil)
	require.NoError(t, err)
	return n, l
}

// asking has the default timeout, so that a busy machine fails no test.
func asking(servers ...*server) Options {
	var o Options
	for _, s := range servers {
		o.Servers = append(o.Servers, s.addr)
	}
	return o
}

// impatient is asking for servers that keep silent.
func impatient(servers ...*server) Options {
	o := asking(servers...)
	o.Timeout = 300 * time.Millisecond
	return o
}

func addrs(list ...string) []netip.Addr {
	var as []netip.Addr
	for _, s := range list {
		as = append(as, netip.MustParseAddr(s))
	}
	return as
}

func write(t testing.TB, path, text string) {
	t.Helper()
	// Renamed into place as tools do, so that also a change within one tick of the
	// file system's clock has another inode.
	next := path + ".next"
	require.NoError(t, os.WriteFile(next, []byte(text), 0o600))
	require.NoError(t, os.Rename(next, path))
}

func sorted(as []netip.Addr) []netip.Addr {
	return slices.SortedFunc(slices.Values(as), netip.Addr.Compare)
}
