package soak

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/testport"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// lostBudget is keepalive.user_timeout of the daemon, and what its keepalives take.
const lostBudget = 3 * time.Second

// Somebody takes the Elastic IP of a running instance away. Azure no longer hears the connections that left from it: their path goes
// dark without a word to either end. They must end within keepalive.user_timeout, whatever they were doing, rather than be open for
// hours; and once another address is claimed, new ones must work.
func TestConnectionsOfALostElasticIPEnd(t *testing.T) {
	needIsolation(t)
	for i, engine := range []string{"auto", "epoll", "portable"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			loseAddress(t, engine, fmt.Sprintf("127.0.1.%d", 1+i))
		})
	}
}

func loseAddress(t *testing.T, engine, upstream string) {
	cloud := newCloudOfOne(t)
	far := newFarEnd(t, upstream)
	d := startInstance(t, engine, far, cloud)
	d.awaitReady(t)
	first := cloud.held(t)

	idle, asks, downloads, uploads := d.talk(t, "idle"), d.talk(t, "idle"), d.talk(t, "download"), d.talk(t, "upload")
	old := []*nearEnd{idle, asks, downloads, uploads}
	time.Sleep(6 * time.Second) // keepalives of an upstream connection begin when it is 5 s old
	cloud.ec2.Move(first, "eni-0b")
	cut := time.Now()
	far.goDark(t)
	_, err := asks.Write([]byte("a request that nobody acknowledges"))
	require.NoError(t, err)

	for _, c := range old {
		select {
		case <-c.ended:
		case <-time.After(5 * lostBudget):
			require.Fail(t, "the connection is still open", c.does)
		}
		require.Less(t, c.endedAt.Sub(cut), lostBudget+3*time.Second, "%s: lostBudget, and time for a busy machine", c.does)
	}
	for _, c := range old {
		line := d.line(t, c.LocalAddr().String())
		require.Equal(t, "upstream_lost", line.Reason, "%s: %s", c.does, line.text)
	}
	require.Eventually(t, func() bool { return cloud.held(t) != first }, 10*time.Second, 20*time.Millisecond, "another address is claimed")
	d.awaitReady(t)
	again := d.talk(t, "idle")
	require.NoError(t, again.CloseWrite())
	<-again.ended
	require.Equal(t, "client_closed", d.line(t, again.LocalAddr().String()).Reason)
}

// cloudOfOne is an account of AWS with a pool of two addresses and the metadata of one instance.
type cloudOfOne struct {
	ec2      *sim.EC2
	ec2URL   string
	metadata string
}

func newCloudOfOne(t *testing.T) *cloudOfOne {
	c := &cloudOfOne{ec2: sim.NewEC2(sim.EC2Options{})}
	for range 2 {
		c.ec2.AddAddress(map[string]string{"l4fwd-pool": "aoai"})
	}
	c.ec2.AddInterface("eni-0a", "i-0a", netip.MustParseAddr("10.0.0.10"))
	c.ec2.AddInterface("eni-0b", "i-0b", netip.MustParseAddr("10.0.0.11"))
	m := sim.NewMetadata(sim.Machine{Region: "eu-central-1", Account: "123456789012", Instance: "i-0a",
		MAC: "02:00:00:00:00:01", Interface: "eni-0a", PrivateIP: "10.0.0.10"})
	m.Public(func() string {
		if a := c.ec2.PublicIPv4("eni-0a"); a.IsValid() {
			return a.String()
		}
		return ""
	})
	ec2, metadata := httptest.NewServer(c.ec2), httptest.NewServer(m)
	t.Cleanup(ec2.Close)
	t.Cleanup(metadata.Close)
	c.ec2URL, c.metadata = ec2.URL, metadata.URL
	return c
}

// held is the allocation that the instance holds; empty if it holds none.
func (c *cloudOfOne) held(t *testing.T) string {
	for allocation, eni := range c.ec2.Holders() {
		if eni == "eni-0a" {
			return allocation
		}
	}
	return ""
}

// farEnd is an upstream: it says a byte, then does what the client's first byte asks for.
type farEnd struct {
	ln      *net.TCPListener
	mu      sync.Mutex
	conns   []*net.TCPConn
	serving sync.WaitGroup
}

func newFarEnd(t *testing.T, address string) *farEnd {
	ln, err := net.Listen("tcp4", address+":0")
	require.NoError(t, err)
	f := &farEnd{ln: ln.(*net.TCPListener)}
	f.serving.Go(func() {
		for {
			c, err := f.ln.AcceptTCP()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, c)
			f.mu.Unlock()
			f.serving.Go(func() { serveFarEnd(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			_ = c.SetLinger(0)
			c.Close()
		}
		f.mu.Unlock()
		f.serving.Wait()
	})
	return f
}

func serveFarEnd(c *net.TCPConn) {
	defer c.Close()
	b := make([]byte, 64<<10)
	if _, err := io.ReadFull(c, b[:1]); err != nil {
		return
	}
	asked := b[0]
	if _, err := c.Write(b[:1]); err != nil {
		return
	}
	for asked == 'd' {
		if _, err := c.Write(b); err != nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	_, _ = io.Copy(io.Discard, c) // until either end closes it
}

// goDark cuts the path of each connection that is open, as the loss of an address does: no later one is concerned.
func (f *farEnd) goDark(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	own := f.ln.Addr().(*net.TCPAddr)
	for _, c := range f.conns {
		_, err := cutPath(own.IP.String(), own.Port, c.RemoteAddr().(*net.TCPAddr).Port)
		require.NoError(t, err)
	}
}

// oneInstance is a running l4fwd with an address of the pool.
type oneInstance struct {
	listen, health string
	log            *lineLog
}

func startInstance(t *testing.T, engine string, f *farEnd, c *cloudOfOne) *oneInstance {
	d := &oneInstance{listen: testport.Free(t), health: testport.Free(t), log: &lineLog{}}
	file := filepath.Join(t.TempDir(), "l4fwd.yaml")
	text := fmt.Sprintf(`engine: %s
loops: 2
health: {address: %q}
admin: {address: %q}
log: {access: all}
drain: {lame_duck: 0s, timeout: 1s}
keepalive: {idle: 1s, interval: 1s, count: 2}
eip: {pool: "tag:l4fwd-pool=aoai", verify_interval: 5s}
lifecycle: {asg: "off", spot: "off"}
listeners: [{name: l, address: %q}]
upstreams: [{name: u, address: %q, check: {type: none}}]
`, engine, d.health, testport.Free(t), d.listen, f.ln.Addr())
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	cmd := exec.Command(l4fwdPath, "serve", "--config", file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b",
		"AWS_ENDPOINT_URL_EC2=" + c.ec2URL, "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + c.metadata,
		"AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent"}
	cmd.Stderr = d.log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		err := cmd.Wait()
		if t.Failed() || err != nil {
			t.Logf("%v\n%s", err, d.log)
		}
		require.NoError(t, err, "the address is released")
		require.Empty(t, c.held(t))
	})
	return d
}

func (d *oneInstance) awaitReady(t *testing.T) {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	require.Eventually(t, func() bool {
		r, err := client.Get("http://" + d.health + "/readyz")
		if err != nil {
			return false
		}
		return errors.Join(r.Body.Close(), err) == nil && r.StatusCode == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
}

// nearEnd is a client. ended is closed once its connection has ended, at endedAt.
type nearEnd struct {
	*net.TCPConn
	does    string
	ended   chan struct{}
	endedAt time.Time
}

// talk connects a client that says a byte, gets one, and then is idle, downloads or uploads until the connection ends.
func (d *oneInstance) talk(t *testing.T, does string) *nearEnd {
	conn, err := net.Dial("tcp4", d.listen)
	require.NoError(t, err)
	c := &nearEnd{TCPConn: conn.(*net.TCPConn), does: does, ended: make(chan struct{})}
	t.Cleanup(func() { conn.Close() })
	_, err = conn.Write([]byte(does[:1]))
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 1))
	require.NoError(t, err)
	if does == "upload" {
		go func() {
			for b := make([]byte, 64<<10); ; time.Sleep(5 * time.Millisecond) {
				if _, err := conn.Write(b); err != nil {
					return
				}
			}
		}()
	}
	go func() {
		_, _ = io.Copy(io.Discard, conn) // however it ends
		c.endedAt = time.Now()
		close(c.ended)
	}()
	return c
}

// line waits for the access line of a client.
func (d *oneInstance) line(t *testing.T, client string) (a soakAccess) {
	require.Eventually(t, func() bool {
		for line := range strings.Lines(d.log.String()) {
			if strings.Contains(line, `"msg":"access"`) && strings.Contains(line, `"client":"`+client+`"`) {
				a.text = line
				return json.Unmarshal([]byte(line), &a) == nil
			}
		}
		return false
	}, 10*time.Second, 10*time.Millisecond, "no access line for %s", client)
	return a
}

// lineLog keeps what a daemon writes.
type lineLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lineLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lineLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
