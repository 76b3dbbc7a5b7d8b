package eip

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/require"
)

// script is an EC2 that answers as a test says, where the simulation is too truthful. A nil function answers with nothing.
type script struct {
	describe     func() ([]types.Address, error)
	associate    func(allocation string) (string, error)
	disassociate func(association string) error
	calls        []string
}

func (s *script) DescribeAddresses(_ context.Context, in *ec2.DescribeAddressesInput, _ ...func(*ec2.Options)) (*ec2.DescribeAddressesOutput, error) {
	s.calls = append(s.calls, "describe")
	if s.describe == nil {
		return &ec2.DescribeAddressesOutput{}, nil
	}
	all, err := s.describe()
	return &ec2.DescribeAddressesOutput{Addresses: all}, err
}

func (s *script) AssociateAddress(_ context.Context, in *ec2.AssociateAddressInput, _ ...func(*ec2.Options)) (*ec2.AssociateAddressOutput, error) {
	s.calls = append(s.calls, "associate "+*in.AllocationId)
	if s.associate == nil {
		return &ec2.AssociateAddressOutput{AssociationId: aws.String("eipassoc-new")}, nil
	}
	id, err := s.associate(*in.AllocationId)
	return &ec2.AssociateAddressOutput{AssociationId: &id}, err
}

func (s *script) DisassociateAddress(_ context.Context, in *ec2.DisassociateAddressInput, _ ...func(*ec2.Options)) (*ec2.DisassociateAddressOutput, error) {
	s.calls = append(s.calls, "disassociate "+*in.AssociationId)
	if s.disassociate == nil {
		return &ec2.DisassociateAddressOutput{}, nil
	}
	return &ec2.DisassociateAddressOutput{}, s.disassociate(*in.AssociationId)
}

// count is how many calls begin so.
func (s *script) count(prefix string) (n int) {
	for _, c := range s.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// entry is the n-th address of the pool in a listing, on an interface and a private address; free without them.
func entry(n int, eni, private string) types.Address {
	a := types.Address{AllocationId: aws.String(fmt.Sprintf("eipalloc-%08d", n)), PublicIp: aws.String(fmt.Sprintf("198.51.0.%d", n)),
		Tags: []types.Tag{{Key: aws.String("pool"), Value: aws.String("x")}}}
	if eni != "" {
		a.AssociationId, a.NetworkInterfaceId, a.PrivateIpAddress = aws.String(fmt.Sprintf("eipassoc-%d", n)), &eni, &private
	}
	return a
}

// listing answers with the same entries each time.
func listing(all ...types.Address) func() ([]types.Address, error) {
	return func() ([]types.Address, error) { return all, nil }
}

// scripted is a keeper of interface eni-1 with 10.0.0.1 that wants an address. Its first call is not delayed.
func scripted(t *testing.T, s *script) *Keeper {
	k := New(Options{Client: s, Selector: selector(t, "tag:pool=x"), Interface: "eni-1", PrivateIP: private(1), Required: true})
	k.o.PrivateIP = mustAddr("10.0.0.1")
	k.scan.started = true
	k.Want(true)
	return k
}

// requireInterval holds a wait against the interval of verification, spread by a tenth.
func requireInterval(t *testing.T, wait time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, wait, 27*time.Second)
	require.LessOrEqual(t, wait, 33*time.Second)
}

// An interface may have several private addresses, each with an Elastic IP of its own; and private addresses repeat across VPCs. Only
// both together are ours.
func TestOnlyOurPrivateAddressOnOurInterfaceIsOurs(t *testing.T) {
	s := &script{describe: listing(entry(1, "eni-1", "10.0.0.2"), entry(2, "eni-2", "10.0.0.1"), entry(3, "", ""))}
	k := scripted(t, s)
	requireInterval(t, k.claim(t.Context()))
	hold, _ := k.Held()
	require.Equal(t, "eipalloc-00000003", hold.Allocation)
	require.Equal(t, []string{"describe", "associate eipalloc-00000003"}, s.calls)
}

// The address of our interface is taken over at once where the metadata agree, else once it is associated again.
func TestOurAddressIsTakenOver(t *testing.T) {
	s := &script{describe: listing(entry(1, "eni-1", "10.0.0.1"), entry(2, "", ""))}
	k := scripted(t, s)
	requireInterval(t, k.claim(t.Context()))
	hold, _ := k.Held()
	require.Equal(t, "eipassoc-new", hold.Association)
	require.Equal(t, []string{"describe", "associate eipalloc-00000001"}, s.calls)

	s.calls = nil
	k = scripted(t, s)
	k.o.PublicIPv4 = metadataShow("198.51.0.1")
	requireInterval(t, k.claim(t.Context()))
	hold, _ = k.Held()
	require.Equal(t, "eipassoc-1", hold.Association)
	require.Equal(t, []string{"describe"}, s.calls)
}

// A role that may list but not associate can go on using the address that the interface has.
func TestOurAddressIsKeptWithoutThePermissionToAssociate(t *testing.T) {
	s := &script{describe: listing(entry(1, "eni-1", "10.0.0.1"))}
	s.associate = func(string) (string, error) { return "", answered("UnauthorizedOperation", "m", 403) }
	k := scripted(t, s)
	requireInterval(t, k.claim(t.Context()))
	hold, _ := k.Held()
	require.Equal(t, "eipassoc-1", hold.Association)

	s.associate = func(string) (string, error) { return "", notSigned("") }
	k = scripted(t, s)
	k.claim(t.Context())
	_, held := k.Held()
	require.False(t, held, "without credentials nothing is known")
	require.ErrorContains(t, k.Check(), "keep eipalloc-00000001: no AWS credentials")
}

// EC2 may refuse to repeat an association. Then listings decide, once they are reliable; until then it is asked every two seconds.
func TestRepetitionThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{describe: listing(entry(1, "eni-1", "10.0.0.1"))}
		s.associate = func(string) (string, error) {
			return "", answered("Resource.AlreadyAssociated", "eipalloc-00000001", 400)
		}
		k := scripted(t, s)
		began := time.Now()
		for time.Since(began) < 9*time.Second {
			wait := k.claim(t.Context())
			require.Equal(t, 2*time.Second, wait)
			_, held := k.Held()
			require.False(t, held)
			time.Sleep(wait)
		}
		require.Equal(t, 1, s.count("associate"))
		time.Sleep(time.Second)
		requireInterval(t, k.claim(t.Context()))
		hold, held := k.Held()
		require.True(t, held)
		require.Equal(t, "eipassoc-1", hold.Association)
		require.Equal(t, 1, s.count("associate"))
	})
}

func TestUnconfirmedClaimIsAwaited(t *testing.T) {
	const mine, other = "eipalloc-1", "eipalloc-2"
	for name, c := range map[string]struct {
		u     unconfirmed
		age   time.Duration
		pool  []Address
		await bool
	}{
		"EC2 never said so":              {unconfirmed{allocation: mine}, -1, nil, false},
		"not listed":                     {unconfirmed{allocation: mine}, 0, nil, true},
		"listed as free":                 {unconfirmed{allocation: mine}, 0, []Address{{Allocation: mine}}, true},
		"listed with a holder":           {unconfirmed{allocation: mine}, 0, []Address{{Allocation: mine, Association: "a"}}, false},
		"another one with a holder":      {unconfirmed{allocation: mine}, 0, []Address{{Allocation: other, Association: "a"}}, true},
		"any address, nothing listed":    {unconfirmed{}, 0, []Address{{Allocation: other, Association: "a"}}, true},
		"ten seconds":                    {unconfirmed{allocation: mine}, 10 * time.Second, nil, true},
		"more than ten seconds":          {unconfirmed{allocation: mine}, 11 * time.Second, nil, false},
		"any address, after ten seconds": {unconfirmed{}, 11 * time.Second, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := scripted(t, &script{})
				k.unconfirmed = c.u
				if c.age >= 0 {
					k.unconfirmed.since = time.Now()
					time.Sleep(c.age)
				}
				before := k.unconfirmed
				require.Equal(t, c.await, k.awaitUnconfirmed(c.pool))
				switch {
				case c.await, c.age < 0:
					require.Equal(t, before, k.unconfirmed)
				default:
					require.Equal(t, unconfirmed{}, k.unconfirmed)
				}
			})
		})
	}
}

// The conflict names our interface, so the address that it has may be any; or it is about the address of an unconfirmed claim.
func TestConflictThatMayBeOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			message, unconfirmed string
			ours                 bool
			left                 string // of the unconfirmed claim
		}{
			{"resource eipalloc-1 is already associated", "", false, ""},
			{"resource eipalloc-1 is already associated", "eipalloc-2", false, "eipalloc-2"},
			{"resource eipalloc-1 is already associated", "eipalloc-1", true, "eipalloc-1"},
			{"resource eni-1 is already associated", "", true, ""},
			{"resource eni-1 is already associated", "eipalloc-2", true, ""},
		} {
			k := scripted(t, &script{})
			k.scan.begin(make([]Address, 10), 10)
			k.unconfirmed.allocation = c.unconfirmed
			wait, done := k.taken(Address{Allocation: "eipalloc-1"}, answered("Resource.AlreadyAssociated", c.message, 400))
			require.Equal(t, c.ours, done)
			require.Equal(t, c.left, k.unconfirmed.allocation)
			require.Equal(t, c.ours, k.scan.listed.IsZero(), "a new listing may show it")
			if c.ours {
				require.Equal(t, time.Second, wait)
				require.Equal(t, time.Now(), k.unconfirmed.since)
			} else {
				require.True(t, k.unconfirmed.since.IsZero())
			}
		}
	})
}

// Others were faster with each of the candidates: the reason says so, and the next look comes after a wait.
func TestAllCandidatesTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{describe: listing(entry(1, "", ""), entry(2, "", ""), entry(3, "eni-9", "10.0.0.9"))}
		s.associate = func(a string) (string, error) {
			if a == "eipalloc-00000001" {
				return "", answered("InvalidAllocationID.NotFound", "gone", 400)
			}
			return "", answered("Resource.AlreadyAssociated", "resource "+a, 400)
		}
		k := scripted(t, s)
		wait := k.claim(t.Context())
		require.GreaterOrEqual(t, wait, 1500*time.Millisecond)
		require.EqualError(t, k.Check(), "the pool tag:pool=x has 3 addresses, all that looked free were taken meanwhile")
		require.Equal(t, 2, s.count("associate"))
		require.Zero(t, s.count("associate eipalloc-00000003"), "what somebody holds is no candidate")
		require.Equal(t, 1, s.count("describe"))
		k.claim(t.Context())
		require.Equal(t, 2, s.count("describe"))
	})
}

// A candidate that failed for an unknown reason ends the listing; one without an answer may be ours, and is tried first.
func TestFailedCandidateBeginsANewListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, failure := range []error{answered("InternalError", "m", 500), answered("Novel", "m", 400)} {
			s := &script{describe: listing(entry(1, "", ""), entry(2, "", ""), entry(3, "", ""), entry(4, "", ""))}
			s.associate = func(string) (string, error) { return "", failure }
			k := scripted(t, s)
			require.GreaterOrEqual(t, k.claim(t.Context()), 500*time.Millisecond)
			require.Len(t, s.calls, 2)
			require.ErrorContains(t, k.Check(), "claim eipalloc-")
			first := s.calls[1]
			for range 5 {
				s.calls = nil
				k.claim(t.Context())
				require.Len(t, s.calls, 2)
				require.Equal(t, "describe", s.calls[0])
				if resultOf(failure) == resultUnreachable {
					require.Equal(t, first, s.calls[1])
				} else {
					require.Equal(t, unconfirmed{}, k.unconfirmed)
				}
			}
		}
	})
}

// What the instance metadata show may be ours without a listing that has it; an unconfirmed claim is more likely.
func TestOrderOfCandidates(t *testing.T) {
	pool := func() (all []Address) {
		for n := range 20 {
			all = append(all, Address{Allocation: fmt.Sprint("eipalloc-", n), Public: mustAddr(fmt.Sprint("198.51.0.", n))})
		}
		return all
	}
	k := scripted(t, &script{})
	k.o.PublicIPv4 = metadataShow("198.51.0.7")
	require.Equal(t, "eipalloc-7", k.candidates(t.Context(), pool())[0].Allocation)
	require.Equal(t, "eipalloc-7", k.unconfirmed.allocation)
	k.unconfirmed.allocation = "eipalloc-9"
	require.Equal(t, "eipalloc-9", k.candidates(t.Context(), pool())[0].Allocation)

	k = scripted(t, &script{})
	k.o.PublicIPv4 = metadataShow("203.0.113.1")
	firsts := map[string]bool{}
	for range 100 {
		all := k.candidates(t.Context(), pool())
		require.Len(t, all, 20)
		firsts[all[0].Allocation] = true
		require.Empty(t, k.unconfirmed.allocation, "an address outside of the pool is nobody's candidate")
	}
	require.Greater(t, len(firsts), 10, "the order is random: else all daemons try the same one first")

	k.ended = "eipassoc-mine"
	all := k.candidates(t.Context(), []Address{{Allocation: "a", Association: "eipassoc-mine"}, {Allocation: "b", Association: "eipassoc-other"}})
	require.Len(t, all, 1, "our own association that has ended, and is still listed, is free")
	require.Equal(t, "a", all[0].Allocation)
}

// A step whose context ended makes no further call: its answer would look like an association without an answer.
func TestNoCallAfterTheEndOfAStep(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &script{}
	s.describe = func() ([]types.Address, error) {
		cancel()
		return []types.Address{entry(1, "", "")}, nil
	}
	k := scripted(t, s)
	require.Zero(t, k.claim(ctx))
	require.Equal(t, []string{"describe"}, s.calls)
	require.Equal(t, unconfirmed{}, k.unconfirmed)
}

// Metadata that cannot be read are no hint.
func TestMetadataThatFailAreNoHint(t *testing.T) {
	k := scripted(t, &script{})
	require.False(t, k.metadata(t.Context()).IsValid(), "not asked")
	k.o.PublicIPv4 = metadataShow("198.51.0.1")
	require.Equal(t, mustAddr("198.51.0.1"), k.metadata(t.Context()))
	k.o.PublicIPv4 = func(ctx context.Context) (a addr, err error) {
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.InDelta(t, 2, time.Until(deadline).Seconds(), 0.5)
		return mustAddr("198.51.0.1"), errors.New("not in time")
	}
	require.False(t, k.metadata(t.Context()).IsValid())
}
