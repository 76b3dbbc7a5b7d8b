package doctor_test

import (
	"crypto/tls"
	"encoding/pem"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/bench/testport"
)

const name = standin.Name

// slowStates wait for something that does not come.
var slowStates = []state{
	{
		name: "silent after the connect", make: standIn(standin.Options{Fault: standin.FaultSilent}),
		verdict: "broken at: TLS; {origin} accepts the connection and never answers the ClientHello\n",
		mend:    []string{"openssl s_client -connect {origin} -servername " + name},
		lines:   []string{`^skipped +certificate .* because the step hello failed$`, `^skipped +https .* because the step hello failed$`, `^skipped +hello pieces .* because the step hello failed`},
	},
	{
		name: "a split ClientHello is dropped", make: standIn(standin.Options{Fault: standin.FaultSplitHello}),
		verdict: "broken at: a firewall on the way; it cuts ClientHellos that come in two segments\n",
		lines:   []string{`^ok +hello {origin}`, `^ok +https {origin} .* 401 Unauthorized`},
		mend:    []string{"exempt this destination", "GODEBUG=tlsmlkem=0"},
	},
	{
		name: "resolver dead", make: func(t *testing.T) setup { return asking(t, name, "127.0.0.1:443", resolver(t, silent)) },
		verdict: "broken at: DNS; the resolver {dns} does not answer\n",
		mend:    []string{"dig @127.0.0.1 -p "},
		lines:   []string{`^skipped +connect {target} .* because the step name failed`, `^skipped +https {target} .* because the step name failed`},
	},
	{
		name: "one of two resolvers dead", make: func(t *testing.T) setup {
			far, s := origin(t, standin.Options{})
			host := zone(t, name+". 60 IN A 127.0.0.1")
			two := asking(t, name, far.Addr().String(), resolver(t, silent), resolver(t, host))
			two.env = s.env
			return two
		},
		verdict: "no fault found, 1 warning (name): ",
		mend:    []string{"dig @127.0.0.1 -p "},
		lines:   []string{`^warning +name .* at {dns} `, `l4fwd asks the next resolver`, `^skipped +resolvers .* 1 of 2 resolvers answer`},
	},
	{
		name: "blackholed", make: func(t *testing.T) setup { return targeting(t, name, blackhole(t)) },
		verdict: "broken at: TCP; {origin} does not answer\n",
		mend:    []string{"curl -skv -m 4 https://127.0.0.1:{port} "}, hidden: []string{"nc -"},
		lines: []string{`^skipped +hello {origin} .* because the step connect failed$`, `^skipped +https {origin} .* because the step connect failed$`},
	},
	{
		name: "slow", make: func(t *testing.T) setup {
			far, s := origin(t, standin.Options{})
			slow := targeting(t, name, delaying(t, far.Addr().String(), 2500*time.Millisecond))
			slow.env = s.env
			return slow
		},
		verdict: "no fault found, 1 warning (hello): 6 steps passed, 2 skipped\n",
		lines:   []string{`^warning +hello `, `the handshake is slow`},
	},
	{
		name: "the daemon runs and is ready", make: func(t *testing.T) setup { return withDaemon(t, standin.Options{}, true) },
		verdict: "no fault found",
		lines:   []string{`^ok +daemon .* runs here as process \d+, and is ready$`, `^ok +listener .* the running daemon listens here$`, `^ok +files .* the daemon may open `},
	},
	{
		name: "through a daemon that requires PROXY headers", make: func(t *testing.T) setup {
			s := withDaemon(t, standin.Options{}, true, "--config", filepath.Join("testdata", "proxy-required.yaml"))
			return s.with("--through", s.args[slices.Index(s.args, "--listen")+1])
		},
		verdict: "no fault found",
		lines:   []string{`^ok +hello 127\.0\.0\.1:`, `^ok +https .* 401 Unauthorized`},
	},
	{
		name: "through a daemon that allows other sources", make: func(t *testing.T) setup {
			s := withDaemon(t, standin.Options{}, true, "--config", filepath.Join("testdata", "other-sources.yaml"))
			return s.with("--through", s.args[slices.Index(s.args, "--listen")+1])
		},
		verdict: "broken at: what forwards at 127.0.0.1:",
		lines:   []string{`means: +the listener "in" refuses this client, which is not in its allow_sources\. Else `},
		mend:    []string{"l4fwd status --config testdata/other-sources.yaml --admin 127.0.0.1:"},
	},
	{
		name: "the daemon runs and its upstream is dead", make: func(t *testing.T) setup { return withDaemon(t, standin.Options{}, false) },
		verdict: "broken at: TCP; {origin} refuses connections (1 more step failed)\n",
		lines:   []string{`^failed +daemon .* not ready: upstream: `}, mend: []string{"l4fwd status --admin 127.0.0.1:"},
	},
	{
		name: "the authorities of this machine changed after the daemon read them", make: withOldAuthorities,
		verdict: "broken at: the daemon; it is not ready (upstream: ",
		lines:   []string{`^ok +certificate {origin}`, `means: +this machine trusts the certificate, and the daemon does not`},
		mend:    []string{"l4fwd upgrade --config {file} --admin 127.0.0.1:"}, hidden: []string{"l4fwd status"},
	},
	{
		name: "the answer stops half way", make: standIn(standin.Options{Answer: standin.AnswerStalled}),
		verdict: "broken at: HTTPS; {target} begins an answer and does not end it\n",
		mend:    []string{"curl -sv"},
	},
}

// pathStates are about the name, the connection, TLS and the answer.
var pathStates = []state{
	{name: "good: a request without a key is refused", make: standIn(standin.Options{}), verdict: "no fault found: 7 steps passed, 2 skipped\n",
		lines: []string{`^ok +https {origin} .* 401 Unauthorized: the firewall admits this address`, `^ok +name {name} at {dns} .*A 127\.0\.0\.1 \(60 s, local\)$`}},
	{name: "no address rule", make: standIn(standin.Options{Deny: true}), verdict: "broken at: Azure firewall; this machine's address is not in the resource's rules\n",
		mend: []string{"network-rule add --resource-group", "--name dais24-aoai-demo --ip-address ADDRESS"}, lines: []string{"network security perimeter"}},
	{name: "no address rule, the address known", make: func(t *testing.T) setup {
		_, s := origin(t, standin.Options{Deny: true})
		return s.with("--egress-url", answering(t, "203.0.113.10\n"))
	}, verdict: "broken at: Azure firewall; 203.0.113.10 is not in the resource's rules\n", mend: []string{"--ip-address 203.0.113.10"}},
	{name: "no address rule, and the upstream is an IP address", make: func(t *testing.T) setup {
		far, s := origin(t, standin.Options{Deny: true})
		s.args = []string{"--target", far.Addr().String()}
		return s
	}, verdict: "broken at: Azure firewall; this machine's address is not in the resource's rules\n", mend: []string{"[?name=='RESOURCE']", "--name RESOURCE --ip-address ADDRESS"}},
	{name: "public access is disabled", make: standIn(standin.Options{Deny: true, Denial: standin.DenialDisabled}),
		verdict: "broken at: Azure firewall; public access of " + name + " is disabled\n", mend: []string{"publicNetworkAccess=Enabled"}, lines: []string{"network security perimeter"}},
	{name: "a network security perimeter", make: standIn(standin.Options{Deny: true, Denial: standin.DenialPerimeter}),
		verdict: "broken at: the network security perimeter of the resource; it denies the request\n", mend: []string{"az network perimeter profile access-rule create"}},
	{name: "certificate for another name", make: standIn(standin.Options{Fault: standin.FaultOtherName}),
		verdict: "broken at: the certificate; it is for www.example.com, not for " + name + "\n", mend: []string{"openssl s_client -connect {origin} -servername " + name}},
	{name: "certificate expired", make: standIn(standin.Options{Fault: standin.FaultExpired}),
		verdict: "broken at: the certificate; it expired on " + time.Now().Add(-24*time.Hour).UTC().Format(time.DateOnly) + "\n", mend: []string{"openssl s_client", "date -u"}},
	{name: "certificate self-signed", make: standIn(standin.Options{Fault: standin.FaultSelfSigned}), verdict: "broken at: the certificate; it is self-signed\n", mend: []string{"openssl s_client"}},
	{name: "certificate re-signed on the way", make: standIn(standin.Options{Fault: standin.FaultResigned}),
		verdict: "broken at: TLS inspection on the way; Example Corp TLS Inspection signed the certificate anew\n", mend: []string{"exempt " + name + " from TLS inspection"}},
	{name: "certificate re-signed on the way, by an authority that this machine trusts", make: inspected, verdict: "broken at: TLS inspection on the way; ", mend: []string{"exempt " + name + " from TLS inspection"}},
	{name: "a private authority that this machine does not know", make: func(t *testing.T) setup {
		_, s := origin(t, standin.Options{})
		return trusting(t, nil, s)
	}, verdict: "broken at: the certificate; this machine does not know the authority l4fwd stand-in CA (tests only)\n", mend: []string{"SSL_CERT_FILE=/path/to/ca.pem l4fwd doctor"},
		lines: []string{`^ok +https {origin} .* 401 Unauthorized`}},
	{name: "a private authority, and another name", make: func(t *testing.T) setup {
		far, _ := origin(t, standin.Options{})
		return trusting(t, nil, targeting(t, "localhost.example", far.Addr().String()))
	}, verdict: "broken at: the certificate; it is for *.openai.azure.com"},
	{name: "name missing", make: func(t *testing.T) setup {
		return asking(t, name, "127.0.0.1:443", resolver(t, zone(t, name+`. 60 IN TXT "no address"`)))
	}, verdict: "broken at: DNS; " + name + " has no address\n", mend: []string{"dig @127.0.0.1"}, lines: []string{`^skipped +hello {target} .* because the step name failed`}},
	{name: "NXDOMAIN", make: func(t *testing.T) setup { return asking(t, name, "127.0.0.1:443", resolver(t, zone(t))) },
		verdict: "broken at: DNS; " + name + " does not exist\n", mend: []string{"az cognitiveservices account show --name dais24-aoai-demo"}},
	{name: "one of two resolvers does not know the name", make: func(t *testing.T) setup {
		far, s := origin(t, standin.Options{})
		two := asking(t, name, far.Addr().String(), resolver(t, zone(t, name+". 60 IN A 127.0.0.1")), resolver(t, zone(t)))
		two.env = s.env
		return two
	}, verdict: "broken at: DNS; the resolvers disagree: {dns2} does not know " + name + " (1 more step failed)\n", mend: []string{"dns.servers or /etc/resolv.conf"}},
	{name: "one of two resolvers lies", make: func(t *testing.T) setup {
		far, s := origin(t, standin.Options{})
		two := asking(t, name, far.Addr().String(), resolver(t, zone(t, name+". 60 IN A 127.0.0.1")), resolver(t, zone(t, name+". 60 IN A 127.0.0.66")))
		two.env = s.env
		return two
	}, verdict: "broken at: DNS; the resolver {dns2} answers with a wrong address for " + name + ": 127.0.0.66\n", mend: []string{"take this resolver out of dns.servers"}},
	{name: "resolver slow", make: func(t *testing.T) setup {
		far, s := origin(t, standin.Options{})
		slow := asking(t, name, far.Addr().String(), resolver(t, late(1200*time.Millisecond, zone(t, name+". 60 IN A 127.0.0.1"))))
		slow.env = s.env
		return slow
	}, verdict: "no fault found, 1 warning (name): ", lines: []string{`the resolver is slow`}, mend: []string{"dig @127.0.0.1"}},
	{name: "resolver refuses", make: func(t *testing.T) setup {
		return asking(t, name, "127.0.0.1:443", resolver(t, failing(dns.RcodeRefused)))
	},
		verdict: "broken at: DNS; the resolver {dns} refuses to answer\n", mend: []string{"dig @127.0.0.1"}},
	{name: "resolver fails", make: func(t *testing.T) setup {
		return asking(t, name, "127.0.0.1:443", resolver(t, failing(dns.RcodeServerFailure)))
	},
		verdict: "broken at: DNS; the resolver {dns} fails (servfail)\n", mend: []string{"dig @127.0.0.1"}},
	{name: "no resolver there", make: func(t *testing.T) setup { return asking(t, name, "127.0.0.1:443", closed(t)) },
		verdict: "broken at: DNS; the resolver {dns} cannot be reached\n", mend: []string{"cat /etc/resolv.conf"}},
	{name: "connection refused", make: func(t *testing.T) setup { return targeting(t, name, closed(t)) },
		verdict: "broken at: TCP; {origin} refuses connections\n", mend: []string{"curl -skv -m 4 https://127.0.0.1:{port} "}, lines: []string{`^skipped +hello {origin} .* because the step connect failed$`}},
	{name: "reset at the ClientHello", make: standIn(standin.Options{Fault: standin.FaultReset}),
		verdict: "broken at: TLS; the connection to {origin} is cut at the ClientHello\n", mend: []string{"openssl s_client"}},
	{name: "a server that refuses after its certificate", make: func(t *testing.T) setup {
		own := tls.Config{Certificates: []tls.Certificate{selfSigned(t, name)}, MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}
		return targeting(t, name, serveEach(t, func(c net.Conn) { _ = tls.Server(c, &own).Handshake() }))
	}, verdict: "broken at: TLS; the handshake with {origin} fails (1 more step failed)\n", lines: []string{`^skipped +hello pieces .* because the step hello failed$`, `^skipped +https .* because the step hello failed$`}},
	{name: "the clock of this machine is behind", make: standIn(standin.Options{Clock: 30 * time.Minute}),
		verdict: "broken at: the clock of this machine; it is 30m0s behind\n", mend: []string{"timedatectl set-ntp true"}},
	{name: "the clock is behind and the certificate not valid yet", make: standIn(standin.Options{Clock: 3 * time.Hour}),
		verdict: "broken at: the clock of this machine; it is 3h0m0s behind (1 more step failed)\n", lines: []string{`the clock of this machine is behind, or the certificate was issued in error`}},
	{name: "throttled", make: standIn(standin.Options{Answer: standin.AnswerThrottle}), verdict: "no fault found, 1 warning (https): ", lines: []string{`requests are throttled`}, mend: []string{"curl -si"}},
	{name: "unknown path", make: standIn(standin.Options{Answer: standin.AnswerNotFound}), verdict: "no fault found, 1 warning (https): ", lines: []string{`does not know this path`}},
	{name: "the service fails", make: standIn(standin.Options{Answer: standin.AnswerBroken}), verdict: "broken at: the service; it answers 500\n", mend: []string{"curl -si"}},
	{name: "a captive portal redirects", make: standIn(standin.Options{Answer: standin.AnswerRedirect}), verdict: "no fault found, 1 warning (https): ", lines: []string{`captive portal .*https://elsewhere\.example/`}},
	{name: "an old server", make: standIn(standin.Options{Answer: standin.AnswerHTTP10}), verdict: "no fault found: "},
	{name: "something else answers", make: standIn(standin.Options{Answer: standin.AnswerLarge}), verdict: "no fault found, 1 warning (https): ", lines: []string{`something else may answer`}},
	{name: "must be unreachable, and refuses connections", make: func(t *testing.T) setup { return targeting(t, name, closed(t)).with("--expect", "unreachable") },
		verdict: "no fault found: ", lines: []string{`^ok +expectation .*not reachable from here, as expected: .*refused`}},
	{name: "must be unreachable, and its firewall refuses", make: standIn(standin.Options{Deny: true}, "--expect", "unreachable"), verdict: "no fault found: "},
	{name: "must be unreachable, and answers", make: standIn(standin.Options{}, "--expect", "unreachable"),
		verdict: "broken at: the isolation of {target}; it is reachable from here\n", mend: []string{"publicNetworkAccess=Disabled"}},
	{name: "must be unreachable, and speaks another protocol", make: func(t *testing.T) setup { return raw(answer("SSH-2.0-x\r\n"))(t).with("--expect", "unreachable") },
		verdict: "broken at: the isolation of {target}; it is reachable from here\n", lines: []string{`^failed +expectation .* 127\.0\.0\.1 answers, and speaks no TLS$`}},
	{name: "must be private, and is not", make: standIn(standin.Options{}, "--expect", "private"),
		verdict: "broken at: DNS; " + name + " resolves to the local address 127.0.0.1, not to a private one\n", mend: []string{"az network private-endpoint list"}},
	{name: "an address in place of a name", make: func(t *testing.T) setup {
		far, s := origin(t, standin.Options{Listen: "127.0.0.9:0"})
		s.args = []string{"--target", far.Addr().String()}
		return s
	}, verdict: "no fault found, 1 warning (certificate): ", lines: []string{`the target is an address and not a name`}, mend: []string{"l4fwd doctor --target NAME:443 --through {origin}"}},
	{name: "the daemon on the way is dead", make: func(t *testing.T) setup {
		_, s := origin(t, standin.Options{})
		through := closed(t)
		s.replace = append(s.replace, "{through}", through)
		return s.with("--through", through)
	}, verdict: "broken at: TCP; {through} refuses connections\n"},
	{name: "as nobody", make: func(t *testing.T) setup {
		_, s := origin(t, standin.Options{})
		s.nobody = true
		return s
	}, verdict: "no fault found: 7 steps passed, 2 skipped\n"},
}

// inspected is behind a proxy that signs certificates anew, whose authority was installed on this machine, as companies do.
func inspected(t *testing.T) setup {
	own := selfSigned(t, name)
	at := tlsServer(t, own, answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"))
	return trusting(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: own.Certificate[0]}), targeting(t, name, at))
}

// closed is an address where nothing listens, and where no connection begins.
func closed(t *testing.T) string { t.Helper(); return testport.Free(t) }

// blackhole is an address that answers no SYN: its queue of connections that wait to be accepted is full.
func blackhole(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, syscall.Listen(fd, 0))
	at, err := syscall.Getsockname(fd)
	require.NoError(t, err)
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: at.(*syscall.SockaddrInet4).Port}).String()
	for range 100 {
		c, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the queue never fills")
	return ""
}

func TestDoctorFindsWhereThePathIsBroken(t *testing.T) {
	t.Parallel()
	diagnose(t, slices.Concat(slowStates, hostileStates, cloudStates, pathStates))
}
