package doctor_test

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// ownNetwork in the environment marks the process that runs in a network namespace of its own: root's, or that of a user who is root only
// in there, and cannot become somebody else.
const (
	ownNetwork = "TEST_OWN_NETWORK"
	byRoot     = "root"
	byUser     = "user"
)

// Addresses of that network, which has no route to anywhere.
const (
	publicAddress  = "203.0.113.10"
	privateAddress = "10.20.0.4"
	viewInside     = "10.20.0.2:53" // a resolver that knows the private zone
	viewOutside    = "10.20.0.3:53" // and one that does not
	linkName       = "dais24-aoai-demo.privatelink.openai.azure.com"
)

// Private and public addresses, the usual ports, missing routes and missing privileges take a network namespace. Without the right to make
// one, the test is skipped.
func TestDoctorInANetworkOfItsOwn(t *testing.T) {
	t.Parallel()
	if os.Getenv(ownNetwork) == "" {
		inNamespace(t)
		return
	}
	for _, args := range []string{
		"link set lo up", "addr add " + publicAddress + "/32 dev lo", "addr add " + privateAddress + "/32 dev lo", "addr add 10.20.0.2/32 dev lo", "addr add 10.20.0.3/32 dev lo",
		"addr add 169.254.169.254/32 dev lo", "route add prohibit 203.0.113.66",
	} {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		require.NoError(t, err, "ip %s: %s", args, out)
	}
	resolverAt(t, viewInside, zone(t, name+". 60 IN CNAME "+linkName+".", linkName+". 10 IN A "+privateAddress, "gone.example. 60 IN A 198.18.0.1", "denied.example. 60 IN A 203.0.113.66"))
	resolverAt(t, viewOutside, zone(t, name+". 60 IN CNAME "+linkName+".", linkName+". 300 IN CNAME region.example.", "region.example. 60 IN A "+publicAddress))
	imds := sim.NewMetadata(sim.Machine{Region: "eu-west-1", Account: "123456789012", Instance: "i-1", MAC: "02:00:00:00:00:01", Interface: "eni-1", PrivateIP: "10.0.0.1"})
	servingAt(t, "169.254.169.254:80", imds)
	var authority []byte
	for _, address := range []string{publicAddress, privateAddress} {
		far, err := standin.Start(standin.Options{Listen: address + ":443"})
		require.NoError(t, err)
		t.Cleanup(func() { far.Close() })
		authority = append(authority, far.CAPEM()...)
	}
	diagnose(t, networkStates(authority))
}

// networkStates are about that network.
func networkStates(authority []byte) []state {
	ask := func(resolvers string, args ...string) func(*testing.T) setup {
		return func(t *testing.T) setup {
			return trusting(t, authority, asking(t, name, publicAddress+":443", strings.Fields(resolvers)...).with(args...))
		}
	}
	nobody := func(args ...string) func(*testing.T) setup {
		return func(t *testing.T) setup {
			s := ask(viewOutside, args...)(t)
			s.args[0], s.nobody = "--upstream", true
			return s
		}
	}
	elsewhere := func(host string, args ...string) func(*testing.T) setup {
		return func(t *testing.T) setup {
			return asking(t, host, netip.MustParseAddrPort(publicAddress+":443").String(), viewInside).with(args...)
		}
	}
	states := []state{
		{name: "network: must be private, and is", make: ask(viewInside, "--expect", "private"), verdict: "no fault found: ",
			lines: []string{`^ok +expectation .* every address is private, by the alias ` + linkName + `$`, `^ok +name .* CNAME ` + linkName + ` \(60 s\) → A 10\.20\.0\.4 \(10 s, private\)$`}},
		{name: "network: must be private, and resolves to public", make: ask(viewOutside, "--expect", "private"),
			verdict: "broken at: DNS; " + name + " resolves to the public address " + publicAddress + ", not to a private one\n",
			mend:    []string{"az network private-dns link vnet create --resource-group RG --zone-name privatelink.openai.azure.com"}},
		{name: "network: must be public, and is", make: ask(viewOutside, "--expect", "public"), verdict: "no fault found: "},
		{name: "network: must be public, and resolves to private", make: ask(viewInside, "--expect", "public"),
			verdict: "broken at: DNS; " + name + " resolves to the private address " + privateAddress + ", not to a public one\n", mend: []string{"dig " + name}},
		{name: "network: one resolver lies, private and public", make: ask(viewInside + " " + viewOutside),
			verdict: "broken at: DNS; the resolvers disagree about " + name + ": private from " + viewInside + ", public from " + viewOutside + "\n", mend: []string{"dns.servers or /etc/resolv.conf"}},
		{name: "network: no route", make: elsewhere("gone.example"), verdict: "broken at: the route; 198.18.0.1:443 cannot be reached\n", mend: []string{"ip route get 198.18.0.1"}},
		{name: "network: no route, as expected", make: elsewhere("gone.example", "--expect", "unreachable"), verdict: "no fault found: ", lines: []string{`not reachable from here, as expected: network is unreachable`}},
		{name: "network: the host's own rules forbid it", make: elsewhere("denied.example"), verdict: "broken at: this machine's firewall; it forbids connections to 203.0.113.66:443\n", mend: []string{"nft list ruleset"}},
	}
	if os.Getenv(ownNetwork) == byUser {
		return states
	}
	return append(states, []state{
		{name: "network: :443 without the privilege", make: nobody("--listen", ":443"), verdict: "broken at: the listener; ", lines: []string{`--listen :8443`}, mend: []string{"setcap cap_net_bind_service=+ep"}},
		{name: "network: :8443 as nobody", make: nobody("--listen", ":8443"), verdict: "no fault found"},
		{name: "network: :443 by default as nobody", make: nobody(), verdict: "no fault found", lines: []string{`no listener is configured, and this is the default one`}},
		{name: "network: IMDS at its own address", make: nobody("--listen", ":8443", "--eip-pool", pool), verdict: "broken at: the credentials; ", lines: []string{`^ok +metadata .* i-1 in eu-west-1`}},
	}...)
}

// inNamespace runs this test again in a network namespace, as root of a user namespace where this user is not root.
func inNamespace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip is missing: apt-get install iproute2")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	who := byRoot
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		who = byUser
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd.Env = append(os.Environ(), ownNetwork+"="+who, "L4FWD_BINARY="+binary)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Skip("no network namespace can be made here: ", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
		return
	}
	t.Log(out.String())
}
