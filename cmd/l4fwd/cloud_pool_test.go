package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// sharedPool is a cloud with a pool of two addresses tagged l4fwd-pool=aoai and two instances.
type sharedPool interface {
	machines(t *testing.T) [2]*machine
	holders() map[string]string // the interface by public address
	free(public string)         // as somebody would who takes an address away
}

func TestTwoProcessesShareAPoolOfTwo(t *testing.T) {
	t.Run("simulation", func(t *testing.T) {
		t.Parallel()
		twoShare(t, newRegion(t, 2))
	})
	t.Run("moto", func(t *testing.T) {
		t.Parallel()
		twoShare(t, startMoto(t))
	})
}

// believed is how old an association is when eip believes a listing that contradicts it.
const believed = 11 * time.Second

func twoShare(t *testing.T, cloud sharedPool) {
	machines := cloud.machines(t)
	var ps [2]*process
	for i, m := range machines {
		ps[i] = prepare(t, m.env).start(t)
	}
	for i, m := range machines {
		ps[i].ready(t)
		require.Equal(t, m.Interface, cloud.holders()[ps[i].state(t).EIP.Hold.Public.String()])
		ps[i].shows(t, "l4fwd_eip_held 1")
	}
	require.Len(t, cloud.holders(), 2)
	settled := time.Now().Add(believed)
	agree(t, cloud, machines[0])

	// A crash and a restart change nothing.
	before := ps[1].state(t).EIP.Hold.Public
	ps[1].signal(t, syscall.SIGKILL)
	<-ps[1].ended
	require.Len(t, cloud.holders(), 2)
	ps[1] = prepare(t, machines[1].env).start(t).ready(t)
	require.Equal(t, before, ps[1].state(t).EIP.Hold.Public)

	// An address that is taken away ends the readiness within two intervals, and a new claim follows.
	time.Sleep(time.Until(settled))
	losses := loses(t, cloud, ps[0])
	ps[0].shows(t, fmt.Sprintf("l4fwd_eip_changes_total %d", 1+2*losses)) // claimed, lost, claimed
	require.Len(t, cloud.holders(), 2)

	for i := range ps {
		ps[i].signal(t, syscall.SIGTERM)
	}
	for i := range ps {
		ps[i].exits(t, exitOK)
	}
	require.Empty(t, cloud.holders())
}

// loses takes a process's address away until it notices that within two intervals, which a busy machine may hold up. It returns how
// often it did.
func loses(t *testing.T, cloud sharedPool, p *process) (times int) {
	t.Helper()
	for times = 1; ; times++ {
		cloud.free(p.state(t).EIP.Hold.Public.String())
		taken := time.Now()
		p.eventually(t, func() bool { return strings.HasPrefix(p.get("/readyz"), "503 eip: ") })
		noticed := time.Since(taken)
		p.ready(t)
		if noticed < 4*time.Second {
			return times
		}
		require.Less(t, times, 3, "it took %v", noticed)
		time.Sleep(believed)
	}
}

func (r *region) machines(t *testing.T) [2]*machine {
	return [2]*machine{r.machine(t), r.machine(t)}
}

func (r *region) holders() map[string]string {
	all := map[string]string{}
	for _, eni := range r.ec2.Holders() {
		all[r.ec2.PublicIPv4(eni).String()] = eni
	}
	return all
}

func (r *region) free(public string) {
	for allocation, eni := range r.ec2.Holders() {
		if r.ec2.PublicIPv4(eni).String() == public {
			r.ec2.Move(allocation, "")
		}
	}
}

// oneShot leaves no connection behind.
var oneShot = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// moto is AWS as another project understands it.
type moto struct{ url string }

func startMoto(t *testing.T) *moto {
	t.Helper()
	if _, err := exec.LookPath("moto_server"); err != nil {
		t.Skip("moto_server is missing: pip install 'moto[server]'")
	}
	addr := netip.MustParseAddrPort(freePort(t))
	cmd := exec.Command("moto_server", "-H", addr.Addr().String(), "-p", fmt.Sprint(addr.Port()))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a wrapper may stand before it
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	m := &moto{"http://" + addr.String()}
	require.Eventually(t, func() bool {
		resp, err := oneShot.Get(m.url + "/moto-api/data.json")
		if err == nil {
			resp.Body.Close()
		}
		return err == nil
	}, time.Minute, 50*time.Millisecond, "moto_server does not answer")
	for range 2 {
		m.call(t, nil, "AllocateAddress", "Domain", "vpc", "TagSpecification.1.ResourceType", "elastic-ip",
			"TagSpecification.1.Tag.1.Key", "l4fwd-pool", "TagSpecification.1.Tag.1.Value", "aoai")
	}
	return m
}

// call makes a call of EC2 and reads its answer into a struct.
func (m *moto) call(t require.TestingT, into any, action string, params ...string) {
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}
	for pair := range slices.Chunk(params, 2) {
		form.Set(pair[0], pair[1])
	}
	r, err := http.NewRequest(http.MethodPost, m.url, strings.NewReader(form.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0")
	resp, err := oneShot.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	if into != nil {
		require.NoError(t, xml.Unmarshal(body, into), string(body))
	}
}

// motoAddress is an address as DescribeAddresses shows it.
type motoAddress struct {
	PublicIP      string `xml:"publicIp"`
	AssociationID string `xml:"associationId"`
	Interface     string `xml:"networkInterfaceId"`
}

func (m *moto) addresses(t require.TestingT) []motoAddress {
	var out struct {
		Addresses []motoAddress `xml:"addressesSet>item"`
	}
	m.call(t, &out, "DescribeAddresses", "Filter.1.Name", "tag:l4fwd-pool", "Filter.1.Value.1", "aoai")
	return out.Addresses
}

func (m *moto) machines(t *testing.T) [2]*machine {
	var out struct {
		Instances []struct {
			ID         string `xml:"instanceId"`
			Interfaces []struct {
				ID      string `xml:"networkInterfaceId"`
				MAC     string `xml:"macAddress"`
				Private string `xml:"privateIpAddress"`
			} `xml:"networkInterfaceSet>item"`
		} `xml:"instancesSet>item"`
	}
	m.call(t, &out, "RunInstances", "ImageId", "ami-12c6146b", "MinCount", "2", "MaxCount", "2", "InstanceType", "t3.micro")
	require.Len(t, out.Instances, 2)
	var all [2]*machine
	for i, inst := range out.Instances {
		eni := inst.Interfaces[0]
		all[i] = newMachine(t, sim.Machine{Region: "eu-west-1", Account: "123456789012", Instance: inst.ID, MAC: eni.MAC, Interface: eni.ID, PrivateIP: eni.Private}, m.url, m.url)
		all[i].metadata.Public(func() string {
			for public, holder := range m.holders() {
				if holder == eni.ID {
					return public
				}
			}
			return ""
		})
	}
	return all
}

// fatal makes a failed requirement outside of the test's goroutine a panic.
type fatal struct{}

func (fatal) Errorf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
func (fatal) FailNow()                          { panic("moto") }

func (m *moto) holders() map[string]string {
	all := map[string]string{}
	for _, a := range m.addresses(fatal{}) {
		if a.AssociationID != "" {
			all[a.PublicIP] = a.Interface
		}
	}
	return all
}

func (m *moto) free(public string) {
	for _, a := range m.addresses(fatal{}) {
		if a.PublicIP == public {
			m.call(fatal{}, nil, "DisassociateAddress", "AssociationId", a.AssociationID)
		}
	}
}

// agree compares the aws command's view of the pool with ours.
func agree(t *testing.T, cloud sharedPool, m *machine) {
	if _, isMoto := cloud.(*moto); !isMoto {
		return
	}
	aws, err := exec.LookPath("aws")
	if err != nil {
		t.Log("the aws command is missing: not compared with l4fwd eip list")
		return
	}
	env := append([]string{"AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1"}, m.env...)
	cmd := exec.Command(aws, "ec2", "describe-addresses", "--filters", "Name=tag:l4fwd-pool,Values=aoai",
		"--query", "Addresses[].[PublicIp,AllocationId,NetworkInterfaceId]", "--output", "text")
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	theirs, err := cmd.Output()
	require.NoError(t, err)
	want := strings.Split(strings.TrimSpace(string(theirs)), "\n")
	require.Len(t, want, 2)
	ours := l4fwd(t, env, "eip", "list", "--format", "table")
	require.Equal(t, exitOK, ours.code, ours.stderr)
	for _, line := range want {
		fields := strings.Fields(line)
		i := slices.IndexFunc(strings.Split(ours.stdout, "\n"), func(row string) bool {
			return !slices.ContainsFunc(fields, func(f string) bool { return !strings.Contains(row, f) })
		})
		require.GreaterOrEqual(t, i, 0, "%v in\n%s", fields, ours.stdout)
	}
}
