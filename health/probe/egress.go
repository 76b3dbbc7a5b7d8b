package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"time"
)

// Egress asks a web service for the address that this machine's IPv4 connections come from, as the world sees it. The service
// answers with nothing but that address, as https://checkip.amazonaws.com does. Proxies of the environment are not used: the daemon
// uses none.
func Egress(ctx context.Context, url string) (netip.Addr, error) {
	begun := time.Now()
	step := "ask " + url
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%s: %w", step, err)
	}
	r.Header.Set("User-Agent", "l4fwd")
	var d net.Dialer
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp4", address)
	}}}
	answer, err := client.Do(r)
	if err != nil {
		return netip.Addr{}, explain(step, err, begun)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 256))
	if err != nil {
		return netip.Addr{}, explain(step, err, begun)
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(string(text)))
	if err != nil || answer.StatusCode != http.StatusOK {
		return netip.Addr{}, fmt.Errorf("%s: the answer (%d) is no address", step, answer.StatusCode)
	}
	return addr.Unmap(), nil
}

// seen finds the address in a refusal of Azure's, some of which say "Your IP address is …".
var seen = regexp.MustCompile(`(?i)IP(?: address)?(?: is|:)? *([0-9]{1,3}(?:\.[0-9]{1,3}){3})\b`)

// SeenAddress returns the address that a server says a request came from; the zero value if it does not say.
func SeenAddress(body string) netip.Addr {
	m := seen.FindStringSubmatch(body)
	if m == nil {
		return netip.Addr{}
	}
	addr, err := netip.ParseAddr(m[1])
	if err != nil {
		return netip.Addr{}
	}
	return addr
}
