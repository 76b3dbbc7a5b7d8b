package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// sideVariable makes the test binary be one side of the differential test; it holds the command line of the program, divided by
// newlines. sideText names the haproxy.cfg, whose servers the side has.
const (
	sideVariable = "TEST_AS_SIDE"
	sideText     = "TEST_SIDE_TEXT"
)

// sideServer is the network of one side: a namespace with HAProxy or l4fwd, the clients and a name server, and another one with the
// servers of the file. Its methods are called by the test over a socket.
type sideServer struct {
	inFar   func(func() error) error // calls a function in the namespace of the servers
	ended   chan struct{}            // closed once the program has ended
	mu      sync.Mutex
	origins map[string]*origin
}

// serveSide is the process of a side. It ends when the test closes the socket.
func serveSide(t *testing.T, line string) {
	s := &sideServer{inFar: makeNetwork(t), ended: make(chan struct{}), origins: map[string]*origin{}}
	t.Cleanup(s.stopAll)
	text, err := os.ReadFile(os.Getenv(sideText))
	require.NoError(t, err)
	for _, address := range originsOf(string(text)) {
		require.NoError(t, s.Start(address, nil))
	}
	startNames(t)
	words := strings.Split(line, "\n")
	cmd := exec.Command(words[0], words[1:]...)
	if words[0] == "l4fwd" {
		cmd = command(t, []string{"L4FWD_HEALTH_ADDRESS=off", "L4FWD_ADMIN_ADDRESS=off"}, words[1:]...)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	require.NoError(t, cmd.Start())
	go func() { _ = cmd.Wait(); close(s.ended) }()
	defer func() { _ = cmd.Process.Kill(); <-s.ended }()
	file := os.NewFile(3, "socket")
	conn, err := net.FileConn(file)
	require.NoError(t, err)
	file.Close()
	server := rpc.NewServer()
	require.NoError(t, server.RegisterName("Side", s))
	server.ServeConn(conn)
}

// makeNetwork makes every private address local but those of the servers, 10.1.0.0/16 and 10.2.0.0/16. These are local in a second
// namespace, since a server may have the port that HAProxy or l4fwd has on every address. The function that it returns calls others
// there.
func makeNetwork(t *testing.T) (inFar func(func() error) error) {
	calls, results := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		for f := range calls {
			results <- f()
		}
	}()
	t.Cleanup(func() { close(calls) })
	inFar = func(f func() error) error { calls <- f; return <-results }
	thread := 0
	require.NoError(t, inFar(func() error { thread = unix.Gettid(); return unix.Unshare(unix.CLONE_NEWNET) }))
	near := []string{"link set lo up", "link add near type veth peer name far netns " + strconv.Itoa(thread), "link set near up",
		"addr add 10.254.0.1/30 dev near", "route add 10.1.0.0/16 dev near", "route add 10.2.0.0/16 dev near",
		"route add local fd00::/8 dev lo", "route add local 169.254.0.0/16 dev lo"}
	for _, net := range []string{"10.0.0.0/16", "10.4.0.0/14", "10.8.0.0/13", "10.16.0.0/12", "10.32.0.0/11", "10.64.0.0/10"} {
		near = append(near, "route add local "+net+" dev lo")
	}
	require.NoError(t, ip(near))
	far := []string{"link set lo up", "link set far up", "addr add 10.254.0.2/30 dev far", "route add default via 10.254.0.1",
		"route add local 10.1.0.0/16 dev lo", "route add local 10.2.0.0/16 dev lo"}
	require.NoError(t, inFar(func() error { return ip(far) }))
	for name, value := range map[string]string{"ipv6/ip_nonlocal_bind": "1",
		"ipv4/ip_local_port_range": "40000 65000"} { // beside the ports of range.cfg
		require.NoError(t, os.WriteFile("/proc/sys/net/"+name, []byte(value), 0))
	}
	return inFar
}

// ip runs commands of iproute2 in the namespace of the calling thread.
func ip(lines []string) error {
	cmd := exec.Command("ip", "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		return fmt.Errorf("ip: %v: %s", err, out)
	}
	return nil
}

// Open reports whether somebody listens on each of the addresses.
func (s *sideServer) Open(addresses []string, open *bool) error {
	select {
	case <-s.ended:
		return errors.New("the program has ended")
	default:
	}
	*open = true
	for _, a := range addresses {
		c, err := net.DialTimeout("tcp", a, 5*time.Second)
		if *open = *open && err == nil; err == nil {
			c.Close()
		}
	}
	return nil
}

// Try makes a few connections and lists their ends, each once.
func (s *sideServer) Try(a Attempt, ends *[]string) error {
	*ends = make([]string, a.Times)
	var wg sync.WaitGroup
	for i := range *ends {
		wg.Go(func() { (*ends)[i] = a.end() })
	}
	wg.Wait()
	slices.Sort(*ends)
	*ends = slices.Compact(*ends)
	return nil
}

// Start starts the server at an address.
func (s *sideServer) Start(address string, _ *bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.origins[address] != nil {
		return nil
	}
	return s.inFar(func() error {
		o, err := startOrigin(address)
		s.origins[address] = o
		return err
	})
}

// Stop ends the server at an address, and its connections.
func (s *sideServer) Stop(address string, _ *bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.origins[address]
	if o == nil {
		return errors.New("no server at " + address)
	}
	delete(s.origins, address)
	o.stop()
	return nil
}

func (s *sideServer) stopAll() {
	for _, o := range s.origins {
		o.stop()
	}
}

// origin is a server that answers the first bytes of a client with its own address and the PROXY header that it got.
type origin struct {
	ln net.Listener
	wg sync.WaitGroup
}

// startOrigin listens in the namespace of the calling thread.
func startOrigin(address string) (*origin, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	o := &origin{ln: ln}
	o.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			o.wg.Go(func() { answer(c, address) })
		}
	})
	return o, nil
}

func (o *origin) stop() { o.ln.Close(); o.wg.Wait() }

// answer serves one connection. A check closes it without a byte.
func answer(c net.Conn, address string) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		return
	}
	fmt.Fprintf(c, "%s%s\n", address, headerOf(b[:n]))
	_, _ = io.Copy(io.Discard, c)
}

// headerOf names the version of the PROXY header that bytes begin with, and the client that it names.
func headerOf(b []byte) string {
	if bytes.HasPrefix(b, []byte("PROXY ")) {
		return " v1 " + string(append(bytes.Fields(b), nil, nil)[2])
	}
	if !bytes.HasPrefix(b, []byte("\r\n\r\n\x00\r\nQUIT\n")) || len(b) < 52 {
		return ""
	}
	switch b[13] >> 4 {
	case 1:
		return " v2 " + net.IP(b[16:20]).String()
	case 2:
		return " v2 " + net.IP(b[16:32]).String()
	}
	return " v2 without an address"
}

// names are what the name server knows.
var names = map[string][]string{
	"dais24.openai.azure.com.":            {"10.1.99.1"},
	"shared.cognitiveservices.azure.com.": {"10.1.99.2"},
	"many.example.net.":                   {"10.1.40.1", "10.1.40.2", "10.1.40.3"},
}

// startNames answers questions for addresses, over UDP and TCP.
func startNames(t *testing.T) {
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		asked := q.Question[0]
		all, known := names[strings.ToLower(asked.Name)]
		if !known {
			m.Rcode = dns.RcodeNameError
		}
		for _, a := range all {
			if asked.Qtype == dns.TypeA {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: asked.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
					A: net.ParseIP(a)})
			}
		}
		_ = w.WriteMsg(m)
	})
	packets, err := net.ListenPacket("udp", "169.254.169.253:53")
	require.NoError(t, err)
	stream, err := net.Listen("tcp", "169.254.169.253:53")
	require.NoError(t, err)
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: handler}, {Listener: stream, Handler: handler}} {
		done := make(chan struct{})
		go func() { defer close(done); _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown(); <-done })
	}
}

var privateServer = regexp.MustCompile(`^"?(10\.\d+\.\d+\.\d+)(:\d+)?"?$`)

// originsOf lists the addresses of a file's servers, without those that are marked as dead.
func originsOf(text string) []string {
	var all []string
	for l := range strings.Lines(text) {
		f := strings.Fields(l)
		if strings.HasPrefix(l, "# servers: ") { // those that stand in the file as a name or a variable
			all = append(all, f[2:]...)
		}
		if len(f) < 3 || f[0] != "server" || strings.Contains(l, "# dead") {
			continue
		}
		if m := privateServer.FindStringSubmatch(f[2]); m != nil && m[2] != "" {
			all = append(all, m[1]+m[2])
		}
		host, port, _ := strings.Cut(f[2], ":")
		for _, a := range names[host+"."] {
			all = append(all, a+":"+port)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
