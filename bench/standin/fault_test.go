package standin

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"
	"time"
)

// dialTLS makes a handshake within a time; split: the first write goes out in two segments.
func dialTLS(t *testing.T, s *Server, split bool, limit time.Duration) (tls.ConnectionState, error) {
	t.Helper()
	raw, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	_ = raw.SetDeadline(time.Now().Add(limit))
	var under net.Conn = raw
	if split {
		under = &twoSegments{Conn: raw}
	}
	c := tls.Client(under, &tls.Config{RootCAs: s.RootCAs(), ServerName: Name})
	err = c.Handshake()
	return c.ConnectionState(), err
}

// twoSegments sends the first write in two.
type twoSegments struct {
	net.Conn
	sent bool
}

func (c *twoSegments) Write(b []byte) (int, error) {
	if c.sent {
		return c.Conn.Write(b)
	}
	c.sent = true
	n, err := c.Conn.Write(b[:len(b)/2])
	if err != nil {
		return n, err
	}
	time.Sleep(20 * time.Millisecond)
	m, err := c.Conn.Write(b[len(b)/2:])
	return n + m, err
}

func TestFaultsBelowHTTP(t *testing.T) {
	for _, c := range []struct {
		fault        Fault
		whole, split bool // a handshake succeeds
	}{
		{FaultNone, true, true},
		{FaultOtherName, false, false},
		{FaultExpired, false, false},
		{FaultSelfSigned, false, false},
		{FaultResigned, false, false},
		{FaultSplitHello, true, false},
		{FaultReset, false, false},
		{FaultSilent, false, false},
	} {
		t.Run(string(c.fault), func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{Fault: c.fault})
			for split, succeeds := range map[bool]bool{false: c.whole, true: c.split} {
				limit := time.Second / 2
				if succeeds {
					limit = 30 * time.Second // the machine may be busy
				}
				if _, err := dialTLS(t, s, split, limit); (err == nil) != succeeds {
					t.Errorf("split %v: %v", split, err)
				}
			}
		})
	}
	if _, err := Start(Options{Fault: "nonsense"}); err == nil {
		t.Error("a fault that is none was accepted")
	}
}

// A public certificate has proofs of Certificate Transparency, and one that a proxy makes has none.
func TestOnlyTheServicesOwnCertificateHasProofs(t *testing.T) {
	for fault, want := range map[Fault]bool{FaultNone: true, FaultExpired: true, FaultResigned: false, FaultSelfSigned: false} {
		has := false
		for _, e := range start(t, Options{Fault: fault}).Leaf().Extensions {
			has = has || e.Id.String() == "1.3.6.1.4.1.11129.2.4.2"
		}
		if has != want {
			t.Errorf("%q: %v", fault, has)
		}
	}
}

func TestClockOfTheServer(t *testing.T) {
	s := start(t, Options{Clock: 30 * time.Minute})
	resp, err := client(t, s, s.Addr().String(), false).Get("https://" + Name + "/openai/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		t.Fatal(err)
	}
	if ahead := time.Until(date); ahead < 29*time.Minute || ahead > 31*time.Minute {
		t.Errorf("the clock is %v ahead", ahead)
	}
	if _, err := dialTLS(t, start(t, Options{Clock: 2 * time.Hour}), false, 30*time.Second); err == nil {
		t.Error("a certificate of the future is valid")
	}
}
