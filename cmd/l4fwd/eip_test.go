package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/sim"
)

// simulatedEC2 points the SDK at a simulated EC2 with n addresses of the pool.
func simulatedEC2(t *testing.T, n int) *sim.EC2 {
	t.Helper()
	s := sim.NewEC2(sim.EC2Options{})
	for range n {
		s.AddAddress(map[string]string{"l4fwd-pool": "aoai"})
	}
	s.AddAddress(nil) // somebody else's
	s.AddInterface("eni-0000000a", "i-0000000a", netip.MustParseAddr("10.0.0.10"))
	server, scaling := httptest.NewServer(s), httptest.NewServer(sim.NewAutoScaling())
	t.Cleanup(server.Close)
	t.Cleanup(scaling.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_EC2": server.URL, "AWS_ENDPOINT_URL_AUTO_SCALING": scaling.URL, "AWS_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	return s
}

const testPool = "--eip-pool=tag:l4fwd-pool=aoai"

func eipVerb(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(append([]string{"eip"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestEIPByHand(t *testing.T) {
	s := simulatedEC2(t, 2)
	at := []string{testPool, "--interface=eni-0000000a", "--private-ip=10.0.0.10"}
	code, claimed, stderr := eipVerb(append([]string{"claim"}, at...)...)
	require.Equal(t, exitOK, code, stderr)
	code, again, _ := eipVerb(append([]string{"claim"}, at...)...)
	require.Equal(t, exitOK, code)
	require.Equal(t, claimed, again, "what the interface has is kept")
	address, allocation, _ := strings.Cut(strings.TrimSpace(claimed), " ")
	require.Equal(t, map[string]string{allocation: "eni-0000000a"}, s.Holders())

	code, table, _ := eipVerb("list", testPool)
	require.Equal(t, exitOK, code)
	require.Regexp(t, address+` +`+allocation+` +i-0000000a +eni-0000000a +10.0.0.10 +-\n`, table)
	require.Contains(t, table, "2 addresses, 1 free\n")

	code, released, _ := eipVerb(append([]string{"release"}, at...)...)
	require.Equal(t, exitOK, code)
	require.Equal(t, claimed, released)
	require.Empty(t, s.Holders())
	code, _, stderr = eipVerb(append([]string{"release"}, at...)...)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "has no address of the pool")
}

func TestEIPListFormats(t *testing.T) {
	simulatedEC2(t, 2)
	_, azure, _ := eipVerb("list", testPool, "--format=azure-cli")
	require.Equal(t, `az cognitiveservices account network-rule add --resource-group "$RG" --name "$NAME" --ip-address 198.51.0.1
az cognitiveservices account network-rule add --resource-group "$RG" --name "$NAME" --ip-address 198.51.0.2
`, azure)
	_, tfvars, _ := eipVerb("list", testPool, "--format=tfvars")
	require.Equal(t, "ip_rules = [\n  \"198.51.0.1\",\n  \"198.51.0.2\",\n]\n", tfvars)
	_, text, _ := eipVerb("list", testPool, "--format=json")
	var all []eip.Address
	require.NoError(t, json.Unmarshal([]byte(text), &all))
	require.Len(t, all, 2)
	require.Equal(t, "198.51.0.2", all[1].Public.String())
}

// An instance that Auto Scaling retains keeps an address that the pool misses. Nothing showed that.
func TestEIPListShowsRetainedHolders(t *testing.T) {
	s := simulatedEC2(t, 3)
	s.AddInterface("eni-0000000b", "i-0000000b", netip.MustParseAddr("10.0.0.11"))
	s.Move(allocationOf(1), "eni-0000000a")
	s.Move(allocationOf(2), "eni-0000000b")
	asg := sim.NewAutoScaling()
	asg.Group("aoai", sim.Hook{Name: "down", Transition: sim.Terminating, Timeout: time.Millisecond})
	asg.Retain("aoai")
	for _, id := range []string{"i-0000000a", "i-0000000b"} {
		asg.Launch("aoai", id, sim.NewMetadata(sim.Machine{Instance: id}))
	}
	asg.Terminate("i-0000000b")
	require.Eventually(t, func() bool { return asg.State("i-0000000b") == "Terminating:Retained" }, 10*time.Second, time.Millisecond)
	server := httptest.NewServer(asg)
	defer server.Close()
	t.Setenv("AWS_ENDPOINT_URL_AUTO_SCALING", server.URL)

	code, table, stderr := eipVerb("list", testPool)
	require.Equal(t, exitOK, code)
	require.Empty(t, stderr)
	require.Regexp(t, `i-0000000a +eni-0000000a +10.0.0.10 +InService\n`, table)
	require.Regexp(t, `i-0000000b +eni-0000000b +10.0.0.11 +Terminating:Retained\n`, table)
	require.Contains(t, table, "198.51.0.2 is held by i-0000000b, which Auto Scaling retains")
	require.Contains(t, table, "l4fwd eip release --interface eni-0000000b --private-ip 10.0.0.11, ")
	require.NotContains(t, table, "held by i-0000000a")
	_, text, _ := eipVerb("list", testPool, "--format=json")
	require.Contains(t, text, `"lifecycle_state": "Terminating:Retained"`)

	asg.Deny("DescribeAutoScalingInstances")
	code, table, stderr = eipVerb("list", testPool)
	require.Equal(t, exitOK, code, "the list is of use without the states")
	require.Contains(t, stderr, "l4fwd: the holders' states are not known: autoscaling:DescribeAutoScalingInstances: AccessDenied: ")
	require.Contains(t, table, "3 addresses, 1 free\n")
	calls := len(asg.Calls())
	code, _, stderr = eipVerb("list", testPool, "--format=tfvars")
	require.Equal(t, exitOK, code)
	require.Empty(t, stderr)
	require.Len(t, asg.Calls(), calls, "the firewall's formats need no states")
}

// allocationOf is the id of the n-th address of a simulated EC2.
func allocationOf(n int) string { return fmt.Sprintf("eipalloc-%017x", n) }

func TestEIPListOfMoreThanAzureTakes(t *testing.T) {
	simulatedEC2(t, 101)
	for _, format := range []string{"azure-cli", "tfvars"} {
		code, stdout, stderr := eipVerb("list", testPool, "--format", format)
		require.Equal(t, exitFailure, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "101 addresses")
	}
	code, _, _ := eipVerb("list", testPool)
	require.Equal(t, exitOK, code)
}

// On an instance a claim by hand is for the instance's own interface, as that of the daemon is; flags override.
func TestEIPByHandOnAnInstance(t *testing.T) {
	s := simulatedEC2(t, 2)
	s.AddInterface("eni-0000000b", "i-0000000a", netip.MustParseAddr("10.0.0.11"))
	metadata := sim.NewMetadata(sim.Machine{Region: "eu-central-1", Account: "123456789012", Instance: "i-0000000a",
		MAC: "02:00:00:00:00:01", Interface: "eni-0000000a", PrivateIP: "10.0.0.10"})
	server := httptest.NewServer(metadata)
	t.Cleanup(server.Close)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)

	code, claimed, stderr := eipVerb("claim", testPool)
	require.Equal(t, exitOK, code, stderr)
	_, own, _ := strings.Cut(strings.TrimSpace(claimed), " ")
	require.Equal(t, map[string]string{own: "eni-0000000a"}, s.Holders())

	code, _, stderr = eipVerb("claim", testPool, "--interface=eni-0000000b")
	require.Equal(t, exitUsage, code, "the private address of another interface is not known")
	require.Contains(t, stderr, "flag --private-ip is missing")
	code, claimed, stderr = eipVerb("claim", testPool, "--interface=eni-0000000b", "--private-ip=10.0.0.11")
	require.Equal(t, exitOK, code, stderr)
	_, other, _ := strings.Cut(strings.TrimSpace(claimed), " ")
	require.Equal(t, map[string]string{own: "eni-0000000a", other: "eni-0000000b"}, s.Holders())

	code, released, stderr := eipVerb("release", testPool, "--private-ip=10.0.0.10")
	require.Equal(t, exitOK, code, stderr)
	require.Contains(t, released, own)
	require.Equal(t, map[string]string{other: "eni-0000000b"}, s.Holders())

	metadata.Hops(2, 1)
	code, _, stderr = eipVerb("claim", testPool)
	require.Equal(t, exitFailure, code)
	require.Contains(t, stderr, "hop limit of the instance is too small")
	require.Contains(t, stderr, "or name the place with --interface and --private-ip")
}

func TestEIPFaults(t *testing.T) {
	simulatedEC2(t, 1)
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{}, exitUsage, "name one of list, claim, release"},
		{[]string{"list"}, exitUsage, "no pool: name one with --eip-pool"},
		{[]string{"list", "--eip-pool=tag:x"}, exitUsage, "has no value"},
		{[]string{"list", testPool, "--format=csv"}, exitUsage, "table, json, azure-cli, tfvars"},
		{[]string{"list", "--eip-pool=tag:none=x"}, exitFailure, "no address in this account and region (eu-central-1) matches tag:none=x"},
		{[]string{"list", "--eip-pool=eipalloc-0123456789abcdef0"}, exitFailure, "eipalloc-0123456789abcdef0 does not exist"},
		{[]string{"claim", testPool, "--private-ip=10.0.0.10"}, exitUsage, "flag --interface"},
		{[]string{"claim", testPool, "--interface=eni-0000000a", "--private-ip=::1"}, exitUsage, "flag --private-ip"},
		{[]string{"release", testPool, "--interface=eni-x", "--private-ip=10.0.0.10"}, exitUsage, `flag --interface: "eni-x" is no network interface`},
		{[]string{"claim", testPool, "--interface=eni-0000000a"}, exitUsage, "flag --private-ip is missing"},
		{[]string{"claim", testPool}, exitUsage, "flag --interface is missing: write --interface and the network interface, eni-…"},
		{[]string{"claim", testPool, "--interface=eni-0000000a", "--private-ip=10.0.0.10", "--timeout=0"}, exitUsage, "flag --timeout: 0s is out of range"},
		{[]string{"claim", testPool, "--interface=eni-0000000b", "--private-ip=10.0.0.11"}, exitFailure, "InvalidNetworkInterfaceID.NotFound"},
	} {
		code, _, stderr := eipVerb(c.args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, stderr)
		require.Contains(t, stderr, c.says)
	}
}

// A typing error in a flag is named, and not what EC2 would need first: here there is neither a region nor a key.
func TestEIPFlagsAreReadBeforeEC2IsAsked(t *testing.T) {
	simulatedEC2(t, 1)
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	for _, verb := range []string{"claim", "release"} {
		for flag, says := range map[string]string{
			"--interface=x":         `flag --interface: "x" is no network interface; write eni- and 8 to 17 hexadecimal digits`,
			"--interface=eni-1234":  `flag --interface: "eni-1234" is no network interface`,
			"--private-ip=10.0.0":   `flag --private-ip: "10.0.0" is no IPv4 address`,
			"--private-ip=fd00::10": `flag --private-ip: "fd00::10" is no IPv4 address`,
		} {
			code, _, stderr := eipVerb(verb, testPool, flag)
			require.Equal(t, exitUsage, code, "%s %s", verb, flag)
			require.Contains(t, stderr, says)
		}
	}
}

// What is wrong with the environment is said with the variable to set, and at once.
func TestEIPWithoutItsEnvironment(t *testing.T) {
	claim := []string{"claim", testPool, "--interface=eni-0000000a", "--private-ip=10.0.0.10"}
	for _, c := range []struct {
		env, value string
		args       []string
		says       string
	}{
		{"AWS_REGION", "", []string{"list", testPool}, "no AWS region: set AWS_REGION"},
		{"AWS_ACCESS_KEY_ID", "", []string{"list", testPool}, "no AWS credentials ("},
		{"AWS_ACCESS_KEY_ID", "", claim, "or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
		{"AWS_ENDPOINT_URL_EC2", "127.0.0.1:80", []string{"list", testPool}, "AWS_ENDPOINT_URL begin with http:// or https://"},
		{"AWS_ENDPOINT_URL_EC2", "http://127.0.0.1:1", []string{"list", testPool}, "EC2 cannot be reached at http://127.0.0.1:1/: dial tcp 127.0.0.1:1: connect: connection refused; check AWS_REGION"},
	} {
		t.Run(c.env+"="+c.value, func(t *testing.T) {
			simulatedEC2(t, 1)
			t.Setenv(c.env, c.value)
			code, _, stderr := eipVerb(c.args...)
			require.Equal(t, exitFailure, code)
			require.Contains(t, stderr, c.says)
			require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		})
	}
}
