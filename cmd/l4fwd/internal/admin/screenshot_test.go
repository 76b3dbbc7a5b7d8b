package admin

import (
	"flag"
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/chromium"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
)

var screenshots = flag.String("screenshots", "", "write pictures of the status page to this folder: docs/images has them")

// picture is a daemon with invented figures, on a day like others.
func picture() *shown {
	d := newFake()
	s, now, at := &d.state, time.Now(), netip.MustParseAddrPort
	s.Build.Version, s.PID, s.Uptime = "v1.0.0", 812, 93*3600
	s.Conditions = nil
	for _, name := range []string{"listeners", "upstream", "admission", "eip", "draining", "config"} {
		s.Conditions = append(s.Conditions, ConditionState{Name: name, OK: true})
	}
	s.Config, s.Rates.Busy = ConfigState{OK: true}, []float64{0.21, 0.19}
	s.Instance = &instance.Identity{Instance: "i-0f3a9c1d2e4b5a678", Region: "us-west-2"}
	s.EIP = &eip.Status{Wanted: true, Hold: &eip.Hold{Public: netip.MustParseAddr("203.0.113.24"), Allocation: "eipalloc-0a1b2c3d4e5f60718", Since: now.Add(-93 * time.Hour)}}
	s.Lifecycle = &lifecycle.Status{State: "InService", Group: "l4fwd-aoai"}
	s.Proxy.Active, s.Proxy.MaxConns, s.Proxy.Engine, s.Proxy.EngineReason = 2143, 65024, "uring", "auto: the kernel has what it needs"
	s.Proxy.Listeners = []proxy.ListenerStatus{{Name: "aoai", Addr: at("0.0.0.0:443"), Upstream: "dais24", Open: true}}
	s.Proxy.Upstreams = []proxy.UpstreamStatus{{
		Name: "dais24", Address: "dais24-aoai-demo.openai.azure.com:443", Usable: true, Active: 2143, Total: 1_803_422, BytesUp: 9.1e10, BytesDown: 4.02e11, DNSAge: 21,
		Admission: &proxy.AdmissionStatus{State: proxy.Admitted},
		Addresses: []proxy.AddressStatus{
			{Addr: at("20.42.4.211:443"), State: "usable", Active: 1070, Connect: 2.1},
			{Addr: at("20.42.4.212:443"), State: "usable", Active: 1073, Connect: 1.9},
			{Addr: at("20.42.4.213:443"), State: "ejected_by_operator", Until: now.Add(40 * time.Minute)},
		},
	}}
	for i := range 4 {
		client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(3 * i), 17}), uint16(40112+977*i))
		d.conns = append(d.conns, proxy.Connection{ID: uint64(880_000 + 31*i), Client: client, Upstream: "dais24", Address: at("20.42.4.211:443"), SNI: "dais24-aoai-demo.openai.azure.com",
			State: "relaying", Stalls: []string{"none", "client", "none", "none"}[i], Age: float64(3100 - 800*i), BytesUp: uint64(40_000 * (i + 1)), BytesDown: uint64(9_000_000 * (i*i + 1))})
	}
	d.events = []Event{
		{Number: 1, At: now.Add(-93 * time.Hour), Kind: "eip", Level: "info", Text: "eip claimed", Fields: map[string]any{"allocation": "eipalloc-0a1b2c3d4e5f60718", "public_ip": "203.0.113.24"}},
		{Number: 2, At: now.Add(-93 * time.Hour), Kind: "start", Level: "info", Text: "started", Fields: map[string]any{"version": "v1.0.0", "engine": "uring"}},
		{Number: 3, At: now.Add(-20 * time.Minute), Kind: "operator", Level: "info", Text: MsgEjected, Fields: map[string]any{"upstream": "dais24", "address": "20.42.4.213:443", "for": "1h0m0s"}},
	}
	d.history = metrics.History{Interval: 4, Span: 900, Refused: map[string]uint64{"sni_unlisted": 14}, Ended: map[string]uint64{"client_closed": 16_240, "upstream_closed": 3_188, "idle_timeout": 12}}
	for i := range 225 {
		x := float64(i)
		noise := func(of float64) float64 { return 1 + of*math.Sin(x*1.7)*math.Sin(x*0.37) }
		slow := 1 + 0.3*math.Sin(x/40)
		d.history.Points = append(d.history.Points, metrics.Point{
			At: now.Add(time.Duration(i-225) * 4 * time.Second), Active: int64(2000 * slow * noise(0.03)), Connections: 21 * slow * noise(0.3),
			BytesUp: 1.1e6 * slow * noise(0.2), BytesDown: 6.2e6 * slow * noise(0.4), Refused: max(0, 0.3*noise(1)-0.35),
			ConnectP50: new(0.0021 * noise(0.1)), ConnectP99: new(0.0062 * noise(0.5)), FirstByteP50: new(0.31 * noise(0.1)), FirstByteP99: new(1.4 * noise(0.4)),
		})
	}
	return &shown{fake: d}
}

func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("SKIPPED: pictures are made with -screenshots FOLDER")
	}
	p, _ := opened(t, chromium.Start(t), picture())
	p.Until("document.querySelectorAll('#busiest tbody tr').length === 4")
	for _, theme := range []string{"light", "dark"} {
		p.Theme(theme)
		p.Size(1100, 1500, false)
		p.Screenshot(fmt.Sprintf("%s/status-%s.png", *screenshots, theme))
	}
	p.Size(390, 844, true)
	p.Screenshot(*screenshots + "/status-phone.png")
	require.Empty(t, p.Troubles())
}
