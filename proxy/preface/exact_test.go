package preface

import (
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The checksum is that of other programs: over the whole header, with zeros in its own place.
func TestTheChecksumIsThatOfTheSpecification(t *testing.T) {
	header, err := AppendHeader(nil, 2, netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("10.0.0.1:443"), []byte("\x03\x00\x04sum!\x05\x00\x02id"))
	require.NoError(t, err)
	at := strings.Index(string(header), "\x03\x00\x04") + 3
	sum := string(header[at : at+4])
	whole := strings.Replace(string(header), sum, "\x00\x00\x00\x00", 1)
	want := crc32.Checksum([]byte(whole), crc32.MakeTable(crc32.Castagnoli))
	require.Equal(t, []byte{byte(want >> 24), byte(want >> 16), byte(want >> 8), byte(want)}, []byte(sum))
	_, v := Parse(Config{Proxy: Required}, header)
	require.Equal(t, None, v.Refuse)
}

// A header holds 64 KiB less a byte after its fixed part, of which IPv4 addresses take 12.
func TestTLVsAtTheirLimit(t *testing.T) {
	from, to := netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("10.0.0.1:443")
	tlvs := func(size int) []byte { // of one that is size bytes long with its head
		size -= 3
		return append([]byte{0xe0, byte(size >> 8), byte(size)}, make([]byte, size)...)
	}
	const room = 1<<16 - 1 - 12
	b, err := AppendHeader(nil, 2, from, to, tlvs(room))
	require.NoError(t, err)
	require.Len(t, b, 16+1<<16-1)
	require.Equal(t, "\xff\xff", string(b[14:16]))
	b, err = AppendHeader([]byte("before"), 2, from, to, tlvs(room+1))
	require.ErrorContains(t, err, "TLVs of more than 64 KiB")
	require.Equal(t, "before", string(b))
}

// A proxy that does not know the addresses writes none, and no byte of a header's fixed part is waited for in vain.
func TestAHeaderWithoutAddresses(t *testing.T) {
	header := v2Signature + "\x21\x00\x00\x00"
	_, v := Parse(Config{Proxy: Required}, []byte(header))
	require.Equal(t, None, v.Refuse)
	require.False(t, v.More)
	require.Equal(t, len(header), v.Skip)
	for n := len(v2Signature); n < len(header); n++ {
		p := Parser{Config: Config{Proxy: Required}}
		require.True(t, p.Parse([]byte(header[:n])).More)
		require.Equal(t, n+1, p.need)
	}
}

// Letters, digits, - and _ may be in a name, and not their neighbours in ASCII.
func TestTheCharactersOfNames(t *testing.T) {
	host, fault := normalize("a09z-_.AZ.")
	require.Equal(t, "a09z-_.az", host)
	require.Empty(t, fault)
	for _, c := range "/:@[`{,^ " {
		_, fault := normalize("a" + string(c) + "b")
		require.Equal(t, "has a character that no host name has", fault, string(c))
	}
}
