package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"
)

// patience is how long a client waits for a first answer: longer than a refusal takes, and than every inspect-delay of the files.
const patience = 4 * time.Second

// Attempt is one kind of connection.
type Attempt struct {
	To     string // address and port
	Source string // its own address
	Name   string // "": not TLS; "-": TLS without a name
	Header string // v1, v2 or another that header makes, and the client it names; "": no header
	Times  int    // how many connections
}

func (a Attempt) String() string {
	return fmt.Sprintf("to %s from %s name %q header %q", a.To, a.Source, a.Name, a.Header)
}

// attemptsFor lists the connections that a file is tried with at an address.
func attemptsFor(to, text string) []Attempt {
	names, sources := namesIn(text), sourcesIn(text)
	proxied := strings.Contains(text, "accept-proxy") || strings.Contains(text, "expect-proxy")
	times := 1
	for _, section := range regexp.MustCompile(`(?m)^\S`).Split(text, -1) {
		if n := strings.Count(section, "\n    server"); n > 1 || strings.Contains(section, "server-template") {
			times = max(times, min(2*n+2, 7)) // enough to see the servers that take turns
		}
	}
	var all []Attempt
	for _, name := range names {
		for _, source := range sources {
			if strings.Contains(source, ":") == strings.HasPrefix(to, "[") {
				all = append(all, Attempt{to, source, name, "", times})
			}
			if !proxied || len(all) > 400 {
				continue
			}
			for _, kind := range []string{"v1 ", "v2 "} {
				all = append(all, Attempt{to, sources[0], name, kind + source, times})
			}
		}
		if proxied {
			for _, kind := range []string{"local", "unknown", "torn"} {
				all = append(all, Attempt{to, sources[0], name, kind, times}, Attempt{to, sources[1], name, kind, times})
			}
		}
	}
	return all
}

var anyHost = regexp.MustCompile(`[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|net|org|example)\b`)

// namesIn lists names to ask for: those that the file has and others beside, above and below them.
func namesIn(text string) []string {
	all := []string{"", "-", "unlisted.test"}
	for l := range strings.Lines(text) {
		if more, ok := strings.CutPrefix(l, "# names: "); ok { // those that match a rule and do not stand in the file
			all = append(all, strings.Fields(more)...)
		}
	}
	if !strings.Contains(text, "sni") {
		return all
	}
	for _, path := range filesIn(text) {
		content, _ := os.ReadFile(path)
		text += string(content)
	}
	for _, n := range anyHost.FindAllString(text, -1) {
		all = append(all, n, "sub."+n, "a.b."+n, "not"+n, strings.ToUpper(n))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var (
	listFile = regexp.MustCompile(`/\S+\.(?:lst|map)`)
	network  = regexp.MustCompile(`\b10\.\d+\.\d+\.\d+|\bfd[0-9a-f:]*::`)
)

// filesIn lists the files that ACLs and maps name.
func filesIn(text string) []string { return listFile.FindAllString(text, -1) }

// sourcesIn lists addresses of clients: outside of every network, and inside and beside those that rules on src name.
func sourcesIn(text string) []string {
	all := []string{"127.0.0.1", "10.99.9.9"}
	rules := ""
	for l := range strings.Lines(text) {
		if strings.Contains(l, "src") {
			rules += l
		}
	}
	for _, path := range filesIn(rules) {
		content, _ := os.ReadFile(path)
		rules += string(content)
	}
	for _, n := range network.FindAllString(rules, -1) {
		if strings.Contains(n, ":") {
			all = append(all, n+"7")
			continue
		}
		b := netip.MustParseAddr(n).As4()
		for _, last := range []byte{b[3], b[3] + 1, b[3] + 200, b[3] + 100} {
			b[3] = last
			if last != 0 {
				all = append(all, netip.AddrFrom4(b).String())
			}
		}
	}
	if strings.Contains(text, ":::") {
		all = append(all, "::1", "fd77::7")
	}
	slices.Sort(all[2:])
	return slices.Compact(all)
}

// end is where one connection ends: the server, with the PROXY header that it got, or "refused".
func (a Attempt) end() string {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.Source)}, Timeout: patience}
	c, err := d.Dial("tcp", a.To)
	if err != nil {
		return "refused"
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write(slices.Concat(a.header(), a.first())) // a refusal may be there already
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "refused"
	}
	return strings.TrimSpace(line)
}

// header is the PROXY header. local is the one of a load balancer's own checks, unknown one without addresses.
func (a Attempt) header() []byte {
	kind, client, _ := strings.Cut(a.Header, " ")
	switch kind {
	case "":
		return nil
	case "torn":
		return []byte("PROXY TCP4 10.1\r\n")
	case "unknown":
		return []byte("PROXY UNKNOWN\r\n")
	case "local":
		return append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20, 0, 0, 0)
	}
	from, to := net.TCPAddr{IP: net.ParseIP(client), Port: 1000}, net.TCPAddr{IP: net.ParseIP("10.9.0.1"), Port: 443}
	if from.IP.To4() == nil {
		to.IP = net.ParseIP("fd09::1")
	}
	h := proxyproto.HeaderProxyFromAddrs(kind[1]-'0', &from, &to)
	b, err := h.Format()
	if err != nil {
		panic(err) // the attempt is wrong
	}
	return b
}

// first is what the client sends first: a ClientHello, or a line.
func (a Attempt) first() []byte {
	if a.Name == "" {
		return []byte("HELO l4fwd, this is no TLS at all\r\n")
	}
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		defer server.Close()
		_ = tls.Client(server, &tls.Config{ServerName: strings.TrimPrefix(a.Name, "-"), InsecureSkipVerify: true}).Handshake()
	}()
	b := make([]byte, 16<<10)
	n, err := client.Read(b)
	if err != nil && err != io.EOF {
		panic(err) // crypto/tls always begins with one record
	}
	return b[:n]
}

// absolute replaces the relative names of lists by absolute ones.
func absolute(text, dir string) string {
	return regexp.MustCompile(`\blists/`).ReplaceAllString(text, filepath.Join(dir, "lists")+"/")
}
