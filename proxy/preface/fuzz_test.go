package preface

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
)

type outcome struct {
	r Result
	v Verdict
}

// checkSplits parses b at once, byte by byte with one parser, and in its prefixes with fresh ones, and checks that what
// came out is the same: More until the verdict, and then the verdict whatever follows.
func checkSplits(t *testing.T, c Config, b []byte) outcome {
	t.Helper()
	whole := parse(c, b)
	if whole.v.More && (whole.v.Skip != 0 || whole.v.Refuse != None || whole.v.Closed == None || whole.v.Expired == None) {
		t.Fatalf("an inconsistent request for more: %+v", whole.v)
	}
	if whole.v.Skip > len(b) {
		t.Fatalf("skips %d of %d bytes", whole.v.Skip, len(b))
	}
	p := Parser{Config: c}
	decided := false
	for i := 0; i <= len(b) && !decided; i++ {
		inc := p.Parse(b[:i])
		if decided = !inc.More; !decided && i > 300 && i%61 != 0 && i < len(b)-10 {
			continue // a fresh look at each prefix of a long preface would take all the time
		}
		if fresh := parse(c, b[:i]); inc.More != fresh.v.More || inc.Refuse != fresh.v.Refuse || inc.Skip != fresh.v.Skip ||
			inc.Closed != fresh.v.Closed || inc.Expired != fresh.v.Expired {
			t.Fatalf("after %d bytes: %+v byte by byte, %+v at once", i, inc, fresh.v)
		}
		if !decided {
			continue
		}
		if inc.Refuse != whole.v.Refuse || whole.v.More || inc.Skip != whole.v.Skip {
			t.Fatalf("%+v after %d bytes, %+v after all %d", inc, i, whole.v, len(b))
		}
		if inc.Refuse == None && !reflect.DeepEqual(p.Result, whole.r) {
			t.Fatalf("found %+v byte by byte, %+v at once", p.Result, whole.r)
		}
	}
	if !decided && !whole.v.More {
		t.Fatalf("decided at once only: %+v", whole.v)
	}
	return whole
}

func parse(c Config, b []byte) outcome {
	r, v := Parse(c, b)
	return outcome{r, v}
}

// FuzzProxyHeader compares what is accepted with the library, and checks that bytes may be split anywhere.
func FuzzProxyHeader(f *testing.F) {
	for _, s := range headers {
		f.Add([]byte(s.bytes+"payload"), byte(Required))
		f.Add([]byte(s.bytes), byte(Optional))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), byte(Optional))
	f.Fuzz(func(t *testing.T, b []byte, mode byte) {
		c := Config{Proxy: Mode(mode % 3), KeepTLVs: true}
		if len(b) > MaxBytes {
			b = b[:MaxBytes]
		}
		got := checkSplits(t, c, b)
		if got.v.More || got.v.Refuse != None || got.v.Skip == 0 {
			return
		}
		header := b[:got.v.Skip]
		if !got.r.Local && !got.r.Source.IsValid() {
			if _, defined := blockLen(header[13]); namesTCPClient(header[13]) || !defined {
				t.Fatalf("no source for the family %x", header[13])
			}
			return // the library refuses some of these
		}
		h, err := readHeader(header)
		if err != nil {
			t.Fatalf("accepted what the library refuses: %v", err)
		}
		if got.r.Local != h.Command.IsLocal() || got.r.Source.IsValid() == got.r.Local {
			t.Fatalf("local %v, source %v", got.r.Local, got.r.Source)
		}
		if !got.r.Local {
			checkPassedOn(t, got.r)
		}
	})
}

// checkPassedOn writes a header from what was found and reads it again.
func checkPassedOn(t *testing.T, r Result) {
	b, err := AppendHeader(nil, 2, r.Source, r.Dest, r.TLVs)
	if err != nil {
		t.Fatal(err)
	}
	again, v := Parse(Config{Proxy: Required}, append(b, 'x'))
	if v.Refuse != None || v.Skip != len(b) || again.Source != r.Source || again.Dest != r.Dest || again.VPCE != r.VPCE {
		t.Fatalf("%+v was passed on as %+v, %+v", r, again, v)
	}
}

// FuzzClientHello has crypto/tls as its oracle: what it reads as a ClientHello with a host name that is one, we read
// as one with the same name.
func FuzzClientHello(f *testing.F) {
	for _, c := range []*tls.Config{
		{ServerName: "www.example.com"},
		{ServerName: "www.example.com", MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}},
		{ServerName: "a.b", CurvePreferences: []tls.CurveID{tls.X25519}},
		{InsecureSkipVerify: true, CurvePreferences: []tls.CurveID{tls.X25519}},
	} {
		b := goHello(f, c)
		f.Add(b, uint16(0))
		f.Add(b, uint16(3))
		f.Add(b, uint16(300))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint16(0))
	f.Add(record(message(sni("A.Example."))), uint16(7))
	f.Add(record(message(extension{0, "\x00\x08\x07\x00\x01x\x00\x00\x01a"})), uint16(0))
	f.Add([]byte("\x80\x2e\x01\x00\x02"), uint16(0))
	f.Fuzz(func(t *testing.T, b []byte, fragment uint16) {
		if fragment > 0 {
			b = refragment(b, int(fragment))
		}
		if len(b) > MaxBytes {
			b = b[:MaxBytes]
		}
		got := checkSplits(t, Config{Hello: true}, b)
		name, read := oracle(b)
		host, fault := normalize(name)
		if read && name != "" && fault == "" && got.r.SNI != host && !stricter(got.v) {
			t.Fatalf("crypto/tls reads %q, we %q, %+v", name, got.r.SNI, got.v)
		}
		if got.v.Refuse == None && !got.v.More && (got.r.SNI == "" || strings.ToLower(got.r.SNI) != got.r.SNI) {
			t.Fatalf("accepted with the name %q", got.r.SNI)
		}
		if read && got.v.Refuse == None && got.r.SNI != host {
			t.Fatalf("crypto/tls reads %q, we %q", name, got.r.SNI)
		}
	})
}

// stricter tells whether the records, not the message, were refused: crypto/tls lets versions pass that no client sends,
// and empty records and warnings around the ClientHello.
func stricter(v Verdict) bool {
	for _, part := range []string{"unknown version", "impossible length", "alert", "amid"} {
		if strings.Contains(v.Detail, part) {
			return true
		}
	}
	return false
}

// refragment spreads what one record holds over records of n bytes.
func refragment(b []byte, n int) (out []byte) {
	if len(b) < recordHead {
		return b
	}
	body := b[recordHead:]
	for len(body) > 0 {
		m := min(n, len(body))
		out = append(out, b[0], b[1], b[2], byte(m>>8), byte(m))
		out = append(out, body[:m]...)
		body = body[m:]
	}
	return out
}

// oracle has crypto/tls read the bytes. read is false if it found no ClientHello in them.
func oracle(b []byte) (name string, read bool) {
	c := &tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		name, read = h.ServerName, true
		return nil, io.EOF
	}}
	_ = tls.Server(bytesConn{bytes.NewReader(b)}, c).Handshake() // always fails, by the bytes' end or io.EOF above
	return name, read
}

type bytesConn struct{ *bytes.Reader }

func (bytesConn) Write(b []byte) (int, error)      { return len(b), nil }
func (bytesConn) WriteTo(io.Writer) (int64, error) { return 0, io.ErrUnexpectedEOF }
func (bytesConn) Close() error                     { return nil }
func (bytesConn) LocalAddr() net.Addr              { return nil }
func (bytesConn) RemoteAddr() net.Addr             { return nil }
func (bytesConn) SetDeadline(time.Time) error      { return nil }
func (bytesConn) SetReadDeadline(time.Time) error  { return nil }
func (bytesConn) SetWriteDeadline(time.Time) error { return nil }

func mustFormat(h *proxyproto.Header, tlvs ...proxyproto.TLV) string {
	if err := h.SetTLVs(tlvs); err != nil {
		panic(err)
	}
	b, err := h.Format()
	if err != nil {
		panic(err)
	}
	return string(b)
}

func tcp(s string) *net.TCPAddr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }

func tlv(kind byte, value []byte) proxyproto.TLV {
	return proxyproto.TLV{Type: proxyproto.PP2Type(kind), Value: value}
}
