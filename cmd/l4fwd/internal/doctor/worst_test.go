package doctor_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Everything takes as long as it may: three resolvers, the handshake, the answer, AWS, the metadata, the service that knows the address, the
// daemon. The process still ends within the time that the doctor promises. It takes 25 s, so it runs if L4FWD_DOCTOR_WORST is set.
func TestDoctorEndsInTimeIfEverythingIsSlow(t *testing.T) {
	if os.Getenv("L4FWD_DOCTOR_WORST") == "" {
		t.Skip("it takes 25 s: set L4FWD_DOCTOR_WORST=1")
	}
	config := filepath.Join(t.TempDir(), "l4fwd.yaml")
	require.NoError(t, os.WriteFile(config, []byte("dns: {timeout: 20s}\n"), 0o600))
	certificate := selfSigned(t, name)
	far := delaying(t, tlsServer(t, certificate, func(c net.Conn) { trickle(c, "HTTP/1.1 200 OK\r\n\r\n") }), 4500*time.Millisecond)
	_, port, err := net.SplitHostPort(far)
	require.NoError(t, err)
	dark := resolver(t, silent)
	right := resolver(t, late(5500*time.Millisecond, zone(t, name+". 60 IN A 127.0.0.1", name+". 60 IN AAAA ::1")))
	url, admin := hanging(t), hanging(t)
	s := setup{
		args: []string{"--config", config, "--upstream", name + ":" + port, "--listen", closed(t), "--admin", admin[len("http://"):], "--egress-url", url, "--eip-pool", pool,
			"--dns-server", dark, "--dns-server", right, "--target", "192.0.2.1:443"},
		env: []string{"AWS_EC2_METADATA_SERVICE_ENDPOINT=" + url, "AWS_ENDPOINT_URL=" + url, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"},
	}
	o, err := s.run("doctor")
	require.NoError(t, err)
	t.Logf("%.1f s\n%s", o.took.Seconds(), o.stdout)
	require.Less(t, o.took, mostTime)
	require.Greater(t, o.took, 18*time.Second, "not the worst case")
	wellFormed(t, o)
}
