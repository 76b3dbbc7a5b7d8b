package resolve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// udpSize is announced with EDNS0: the size of DNS Flag Day 2020, which no path
	// fragments.
	udpSize = 1232

	// udpBuffer is larger, for servers that ignore udpSize. An answer that does not fit
	// cannot be unpacked, and is asked for again over TCP. A TCP message has at most
	// 64 KiB, by its length field.
	udpBuffer = 4096

	headerLen  = 12      // RFC 1035 4.1.1
	responseQR = 1 << 15 // the QR bit in the flags word
)

var (
	errForeign    = errors.New("answer is not one to the question")
	errUnreadable = errors.New("unreadable answer")
)

// exchanger sends one query to one server over network, "udp" or "tcp", and returns
// the answer; or errUnreadable, or an error of the network. It returns soon after
// ctx ends.
type exchanger func(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error)

// exchange is the exchanger of the real network. Each query has a new socket, so a new
// source port: a forger has to guess it and the id. The socket is connected, so the
// kernel drops answers from others and reports ICMP errors.
func exchange(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	return converse(ctx, c, network, q)
}

// converse is exchange over a connection to the server, which it closes.
func converse(ctx context.Context, c net.Conn, network string, q *dns.Msg) (*dns.Msg, error) {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	conn := dns.Conn{Conn: c, UDPSize: udpBuffer}
	if err := conn.WriteMsg(q); err != nil {
		return nil, err
	}
	for {
		data, err := conn.ReadMsgHeader(nil)
		var m *dns.Msg
		switch {
		case err == nil:
			m, err = parse(data, q)
		case errors.Is(err, dns.ErrShortRead): // not even a header
			err = errForeign
		}
		// Over UDP a stray answer may be late or forged: the true one may still come. Over
		// TCP nobody else can send.
		if network != "udp" || !errors.Is(err, errForeign) {
			return m, err
		}
	}
}

// parse unpacks an answer and checks that it is one to q: id, question (names in any
// case, see RFC 4343) and direction. Otherwise it returns errForeign, or errUnreadable
// for an answer with the right id that cannot be unpacked.
func parse(data []byte, q *dns.Msg) (*dns.Msg, error) {
	if len(data) < headerLen || binary.BigEndian.Uint16(data) != q.Id ||
		binary.BigEndian.Uint16(data[2:])&responseQR == 0 {
		return nil, errForeign
	}
	m := new(dns.Msg)
	if err := m.Unpack(data); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if !answers(m, q) {
		return nil, errForeign
	}
	return m, nil
}

// answers reports whether m is an answer to the question of q.
func answers(m, q *dns.Msg) bool {
	if m.Opcode != dns.OpcodeQuery {
		return false
	}
	// A server that failed before it read the question does not return it.
	if len(m.Question) == 0 {
		return m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError
	}
	got, want := m.Question[0], q.Question[0]
	return len(m.Question) == 1 && got.Qtype == want.Qtype && got.Qclass == want.Qclass &&
		strings.EqualFold(got.Name, want.Name)
}

// question makes a query with a random id.
func question(fqdn string, qtype uint16, edns bool) *dns.Msg {
	q := new(dns.Msg).SetQuestion(fqdn, qtype)
	if edns {
		q.SetEdns0(udpSize, false)
	}
	return q
}

// ednsRefused reports whether a server may have refused a query for its EDNS0
// (RFC 6891 7).
func ednsRefused(m *dns.Msg) bool {
	switch m.Rcode {
	case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers:
		return true
	}
	return false
}

// plain takes the addresses out of an error of package net: the message around it has
// them already.
func plain(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	if call := (*os.SyscallError)(nil); errors.As(err, &call) {
		err = call.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("connection closed without an answer")
	}
	return err
}
