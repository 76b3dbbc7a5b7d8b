package resolve

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// says is a server that writes text to whoever asks, then hangs up. With match its first message has the id of the question.
func says(c net.Conn, text []byte, match bool) {
	defer c.Close()
	q, err := (&dns.Conn{Conn: c}).ReadMsg()
	if err != nil {
		return
	}
	text = append([]byte(nil), text...)
	if match && len(text) >= 4 {
		binary.BigEndian.PutUint16(text, uint16(len(text)-2))
		binary.BigEndian.PutUint16(text[2:], q.Id)
	}
	_ = c.SetDeadline(time.Now().Add(time.Second))
	_, _ = c.Write(text) // whoever asked may have heard enough
}

// FuzzResolver has every server answer each question with the same bytes, length and all: whatever these are, a lookup ends, and
// what it publishes can be connected to.
func FuzzResolver(f *testing.F) {
	q := question("www.test.", dns.TypeA, true)
	for _, m := range []*dns.Msg{
		rrs(f, "www.test. 1 A 192.0.2.1", "www.test. 4294967295 A 0.0.0.0").answer("", q),
		rrs(f, "www.test. 1 CNAME www.test.").answer("", q),
		rrs(f, "www.test. 1 CNAME a.test.", "a.test. 0 A 192.0.2.1").answer("", q),
		new(dns.Msg).SetRcode(q, dns.RcodeNameError),
		new(dns.Msg).SetRcode(q, dns.RcodeFormatError),
		{MsgHdr: dns.MsgHdr{Response: true, Truncated: true}, Question: q.Question},
	} {
		text := packed(f, m, 0)
		framed := append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...)
		f.Add(framed, true)
		f.Add(framed, false)
		f.Add(append(framed, framed...), true)
		f.Add(framed[:len(framed)/2], true)
	}
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, text []byte, match bool) {
		looked := make(chan Lookup, 16)
		r := New(Options{Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, Timeout: time.Second, OnLookup: func(l Lookup) { looked <- l }})
		var servers sync.WaitGroup
		defer servers.Wait()
		defer r.Close()
		r.exchange = func(ctx context.Context, network string, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
			ours, theirs := net.Pipe()
			servers.Go(func() { says(theirs, text, match) })
			return converse(ctx, ours, network, q)
		}
		n, err := r.Watch("www.test.", nil)
		require.NoError(t, err)
		l := <-looked
		checkAddrs(t, l.Addrs)
		if (l.Result == OK) != (l.Err == nil) || (l.Result == OK) != (len(l.Addrs) > 0) {
			t.Fatalf("%v, %v, %v", l.Result, l.Err, l.Addrs)
		}
		if l.Next <= 0 || l.Next > defaultMaxTTL || l.TTL < 0 || l.TTL > defaultMaxTTL {
			t.Fatalf("out of bounds: next in %v, ttl %v", l.Next, l.TTL)
		}
		if s := n.Stats(); s.LastResult != l.Result || len(s.LastError) > 4096 {
			t.Fatalf("%v, %q", s.LastResult, s.LastError)
		}
	})
}
