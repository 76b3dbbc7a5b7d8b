// Package standin is a small stand-in for Azure OpenAI, for demos, tests and soaks on one machine.
//
// It speaks TLS under the service's own names, with a certificate authority made at start, and answers
// chat completions, whole or as a token stream, over HTTP/1.1 and HTTP/2. It refuses in the service's own
// words, because l4fwd's probe recognizes by them whether the firewall admits an address.
// It imitates the wire only; what it says is a fixed text.
package standin

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of the fields of Options.
const (
	DefaultListen     = "127.0.0.1:0"
	DefaultKey        = "stand-in-key"
	DefaultDeployment = "gpt-4o"
	// DefaultPace is a mid-size model's: about 30 tokens a second, 25 to 39 ms each with the jitter.
	DefaultPace = 32 * time.Millisecond
)

// Name is the resource whose address the certificate carries beside the wildcard: the one of the reference design.
const Name = "dais24-aoai-demo.openai.azure.com"

// Denial says in which of Azure's ways a blocked source is refused.
type Denial string

// The refusals: no rule of the firewall admits the source, public access is off altogether, or no access rule of the network security
// perimeter admits it.
const (
	DenialFirewall  Denial = "firewall"
	DenialDisabled  Denial = "disabled"
	DenialPerimeter Denial = "perimeter"
)

// Denials lists the values of Denial.
func Denials() []Denial { return []Denial{DenialFirewall, DenialDisabled, DenialPerimeter} }

// Options says what the stand-in is. The zero value listens on a free loopback port, knows the deployment
// DefaultDeployment, takes DefaultKey and admits every source.
type Options struct {
	Listen      string         // TCP address; port 0 picks a free one
	Key         string         // the one valid key, as api-key or as bearer token
	Deployments []string       // names of the deployments that exist
	Deny        bool           // the account's default action: refuse each source that Allow does not hold
	Allow       []netip.Prefix // sources admitted although Deny is set; as in Azure, rules alone block nobody
	Denial      Denial         // how a blocked source is refused; DenialFirewall by default
	Pace        time.Duration  // mean time between two tokens of a stream, jittered by a fifth; negative: no pause
	Answer      Answer         // how every request is answered that the firewall lets through; AnswerService by default
	Fault       Fault          // what is wrong below HTTP; FaultNone by default
	Clock       time.Duration  // how far the server's clock is ahead: the header Date and the times of certificates
	Tokens      int            // length of an answer in tokens; 0: the text once. Longer ones repeat it
	ErrorLog    *log.Logger    // what net/http has to say of broken connections; nil drops it, probes make plenty

	limits limits // for tests; the zero value takes the constants
}

// limits bounds what one client may cost. A stand-in lives through soaks with hostile peers, too.
type limits struct {
	header time.Duration // TLS handshake, and request line with headers
	body   time.Duration // the whole request body
	write  time.Duration // one flush of an answer: a client that takes none for as long is cut off
	idle   time.Duration // a connection kept alive between requests
	size   int64         // bytes of a request body
}

// withDefaults fills what the caller left zero.
func (o Options) withDefaults() Options {
	o.Listen = cmp.Or(o.Listen, DefaultListen)
	o.Key = cmp.Or(o.Key, DefaultKey)
	o.Denial = cmp.Or(o.Denial, DenialFirewall)
	o.Answer = cmp.Or(o.Answer, AnswerService)
	o.Pace = cmp.Or(o.Pace, DefaultPace)
	if len(o.Deployments) == 0 {
		o.Deployments = []string{DefaultDeployment}
	}
	if o.ErrorLog == nil {
		o.ErrorLog = log.New(io.Discard, "", 0)
	}
	o.limits.header = cmp.Or(o.limits.header, 10*time.Second)
	o.limits.body = cmp.Or(o.limits.body, 30*time.Second)
	o.limits.write = cmp.Or(o.limits.write, 30*time.Second)
	o.limits.idle = cmp.Or(o.limits.idle, 10*time.Minute)
	o.limits.size = cmp.Or(o.limits.size, 4<<20)
	return o
}

// validate names what cannot be meant. It judges options that have their defaults.
func (o Options) validate() error {
	switch {
	case !slices.Contains(Denials(), o.Denial):
		return fmt.Errorf("denial %q: allowed are %q", o.Denial, Denials())
	case !slices.Contains(Answers(), o.Answer):
		return fmt.Errorf("answer %q: allowed are %q", o.Answer, Answers())
	case !slices.Contains(Faults(), o.Fault):
		return fmt.Errorf("fault %q: allowed are %q", o.Fault, Faults()[1:])
	case len(o.Allow) > 0 && !o.Deny:
		return errors.New("an allow list without deny blocks nobody: set deny, too")
	case o.Tokens < 0:
		return fmt.Errorf("tokens %d: must not be negative", o.Tokens)
	}
	return nil
}

// Server is a running stand-in. It owns its listener and connections until Close.
type Server struct {
	http   *http.Server
	front  *handler
	addr   netip.AddrPort
	id     identity
	stats  *counters
	cancel context.CancelFunc // ends the context of every request
	served chan struct{}      // closed once Serve returned
	conns  sync.WaitGroup     // open connections; grows only while Serve runs
}

// Start makes the certificates, listens and serves in the background until Close.
func Start(opts Options) (*Server, error) {
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	id, err := newIdentity(time.Now().Add(opts.Clock), opts.Fault)
	if err != nil {
		return nil, err
	}
	ln, err := listen(opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", opts.Listen, err)
	}
	s := &Server{
		addr:   ln.Addr().(*net.TCPAddr).AddrPort(),
		id:     id,
		stats:  &counters{},
		served: make(chan struct{}),
	}
	s.serve(opts.Fault.wrap(ln), opts)
	return s, nil
}

// listen opens a plain TCP listener: Go's default is MPTCP, which is not what the relay's other peers speak.
func listen(address string) (net.Listener, error) {
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	return lc.Listen(context.Background(), "tcp", address)
}

// serve hands ln to net/http. It has no ReadTimeout and no WriteTimeout, because both would end a long
// stream: the handlers set deadlines per request and per flush instead.
func (s *Server) serve(ln net.Listener, opts Options) {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.front = newHandler(opts, s.stats)
	s.http = &http.Server{
		Handler:           s.front,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{s.id.cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: opts.limits.header,
		IdleTimeout:       opts.limits.idle,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          opts.ErrorLog,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         s.track,
		HTTP2:             &http.HTTP2Config{WriteByteTimeout: opts.limits.write},
	}
	go func() {
		defer close(s.served)
		// Serve ends with ErrServerClosed; an accept error that ends it earlier shows as refused connections.
		_ = s.http.ServeTLS(ln, "", "")
	}()
}

// track counts the connections that net/http has not let go.
func (s *Server) track(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.conns.Done()
	}
}

// Addr is the address it listens on.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// SetDeny changes Options.Deny: the account's network rules can be edited while it serves.
func (s *Server) SetDeny(deny bool) { s.front.deny.Store(deny) }

// CAPEM is the certificate of the authority that signed the server's, for curl --cacert and its like.
// The caller owns the copy.
func (s *Server) CAPEM() []byte { return slices.Clone(s.id.caPEM) }

// RootCAs is a pool with that authority alone. The caller owns it.
func (s *Server) RootCAs() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.id.caPEM)
	return pool
}

// Leaf is the certificate it shows to clients: who sees the very same one spoke to it without anybody between.
// Not to be modified.
func (s *Server) Leaf() *x509.Certificate { return s.id.cert.Leaf }

// Stats returns the counts since Start.
func (s *Server) Stats() Stats { return s.stats.snapshot() }

// Close ends the listener, every connection and every request, and waits for them. That takes up to half a
// second where net/http lingers over a connection, so that its peer reads the answer before a reset.
func (s *Server) Close() error {
	s.cancel()
	err := s.http.Close()
	<-s.served
	s.conns.Wait()
	if err != nil {
		return fmt.Errorf("close stand-in: %w", err)
	}
	return nil
}

// Stats are counts since Start, but for Active.
type Stats struct {
	Requests int64 // requests answered or begun, refusals among them
	Denied   int64 // answered 403 for their source
	Streams  int64 // streams that reached [DONE]
	Aborted  int64 // streams whose client went away or took nothing
	Tokens   int64 // tokens sent in streams
	Active   int64 // requests under way now
}

// counters is Stats as the handlers write it.
type counters struct {
	requests, denied, streams, aborted, tokens, active atomic.Int64
}

// snapshot reads each count once; together they are not of one instant.
func (c *counters) snapshot() Stats {
	return Stats{
		Requests: c.requests.Load(), Denied: c.denied.Load(), Streams: c.streams.Load(),
		Aborted: c.aborted.Load(), Tokens: c.tokens.Load(), Active: c.active.Load(),
	}
}
