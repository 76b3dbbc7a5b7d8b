package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// asPeers in the environment makes the test binary be peers of many connections, so that each process has the descriptors of one
// side only: "server", or "client ADDRESS NUMBER". It says on stdout when it is ready, and ends with its stdin.
const asPeers = "L4FWD_TEST_PEERS"

// bePeers is the process of peers. It returns an exit status.
func bePeers(role string, in io.Reader, out io.Writer) int {
	words := strings.Fields(role)
	var err error
	if words[0] == "server" {
		err = answerOnce(out)
	} else {
		n, _ := strconv.Atoi(words[2])
		err = dialMany(words[1], n, out)
	}
	if err != nil {
		fmt.Fprintln(out, "failed:", err)
		return 1
	}
	_, _ = io.Copy(io.Discard, in)
	return 0
}

// answerOnce accepts connections for as long as the process lives, sends back the first byte of each, and keeps them open.
func answerOnce(out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, l.Addr())
	go func() {
		var mu sync.Mutex
		var kept []net.Conn
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				b := make([]byte, 1)
				if _, err := io.ReadFull(c, b); err == nil {
					_, _ = c.Write(b)
				}
				mu.Lock()
				defer mu.Unlock()
				kept = append(kept, c)
			}()
		}
	}()
	return nil
}

// dialMany opens connections, each of which has exchanged a byte when it returns.
func dialMany(addr string, n int, out io.Writer) error {
	kept := make([]net.Conn, n)
	errs := make(chan error, 8)
	for w := range 8 {
		go func() {
			for i := w; i < n; i += 8 {
				c, err := net.Dial("tcp", addr)
				if err == nil {
					kept[i] = c
					if _, err = c.Write([]byte("e")); err == nil {
						_, err = io.ReadFull(c, make([]byte, 1))
					}
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 8 {
		if err := <-errs; err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "ready")
	return nil
}

// peers starts a process of peers until the test ends, and returns the line with which it says that it is ready.
func peers(t *testing.T, role string) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = []string{asPeers + "=" + role}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { stdin.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.NotContains(t, line, "failed")
	return strings.TrimSpace(line)
}
