package main

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPortInUseIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	addr := taken.Addr().String()
	port := netip.MustParseAddrPort(addr).Port()
	for flag, says := range map[string]string{
		"--listen": `listener "` + addr + `" cannot listen on ` + addr,
		"--health": "the health port cannot listen on " + addr,
		"--admin":  "the admin port cannot listen on " + addr,
	} {
		t.Run(flag, func(t *testing.T) {
			p := prepare(t, nil, flag, addr).start(t)
			p.exits(t, exitFailure)
			require.Contains(t, p.log.String(), "l4fwd: "+says+": address already in use; another process has this port: ")
			require.Contains(t, p.log.String(), fmt.Sprintf("ss -ltnp 'sport = :%d'", port))
			require.Contains(t, p.log.String(), fmt.Sprintf("ss -tanp 'sport = :%d'", port))
			free := regexp.MustCompile("use another port, like " + flag + ` (127\.0\.0\.1:\d+)`).FindStringSubmatch(p.log.String())
			require.NotNil(t, free, p.log.String())
			require.NotEqual(t, addr, free[1])
			require.Regexp(t, `"level":"error","ts":"[^"]+","msg":"cannot start","error":"`, p.log.String(), "for those who read JSON only")
		})
	}
}
