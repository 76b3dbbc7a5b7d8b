package peer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// The variants of relays.
const (
	SNI  = "sni"  // routes by the host name of the ClientHello
	Warm = "warm" // keeps connections to the origin ready
	Log  = "log"  // writes a line for each connection to a file
	// Renew is one whose processes are replaced while it serves: see Proxy.Renew.
	Renew = "renew"
)

// RoutedName is the host name that L4fwdSNI has a route for.
const RoutedName = "routed.bench.example"

// sniConfig routes to one upstream. RoutedName is found in the last of some routes, by the wildcard.
const sniConfig = `listeners:
  - name: bench
    address: %q
    routes:
      - {sni: [one.example, two.example, three.example], upstream: origin}
      - {sni: ["*.other.example"], upstream: origin}
      - {sni: ["*.bench.example"], upstream: origin}
upstreams:
  - {name: origin, address: %q}
`

// L4fwdSNI is L4fwd with routes.
func L4fwdSNI(binary, engine, why string) Spec {
	return l4fwd(Spec{Name: "l4fwd-" + engine + "-sni", Variant: SNI}, binary, engine, why, func(i Instance) ([]string, error) {
		file := filepath.Join(i.Dir, "l4fwd.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, sniConfig, i.Listen, i.Upstream), 0o600); err != nil {
			return nil, err
		}
		return []string{"--config", file}, nil
	})
}

// warmConnections are enough for a hundred clients a second while a connection takes 40 ms to be replaced, many times over:
// what is measured is a warm connection, not a pool that is too small.
const warmConnections = 32

// L4fwdWarm is L4fwd with warm connections, with the engine it takes by itself.
func L4fwdWarm(binary, why string) Spec {
	return l4fwd(Spec{Name: "l4fwd-warm", Variant: Warm}, binary, "auto", why, func(i Instance) ([]string, error) {
		return []string{"--upstream", i.Upstream.String(), "--listen", i.Listen.String(), "--warm", strconv.Itoa(warmConnections)}, nil
	})
}

// L4fwdLog is L4fwd with a line for each connection.
func L4fwdLog(binary, engine, why string) Spec {
	s := l4fwd(Spec{Name: "l4fwd-" + engine + "-log", Variant: Log, logs: true}, binary, engine, why, func(i Instance) ([]string, error) {
		return []string{"--upstream", i.Upstream.String(), "--listen", i.Listen.String()}, nil
	})
	if plain := s.command; plain != nil {
		s.command = func(i Instance) (*exec.Cmd, error) {
			cmd, err := plain(i)
			if err == nil {
				cmd.Env = append(cmd.Env, "L4FWD_LOG_ACCESS=all")
			}
			return cmd, err
		}
	}
	return s
}

// HAProxyLog is HAProxy with a line for each connection, by its tcplog format and to the same kind of sink as l4fwd's: a file that is
// its standard output.
func HAProxyLog() Spec {
	s := haproxy("haproxy-log", "\tlog stdout format raw daemon\n\toption tcplog\n")
	s.Variant, s.logs = Log, true
	return s
}
