package config

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip"
)

// try loads as check and serve do, and returns what they print of it.
func try(t *testing.T, args ...string) (*Loaded, string) {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFileFlag(fs)
	AddFlags(fs)
	require.NoError(t, fs.Parse(args))
	l := Load(fs)
	var said bytes.Buffer
	l.Faults.Print(&said)
	return l, said.String()
}

// Each file of testdata/bad begins with the complaints about it, one a line, without the name of the file.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			var want []string
			for line := range strings.Lines(string(content)) {
				complaint, ok := strings.CutPrefix(line, "# ")
				if !ok {
					break
				}
				want = append(want, path+":"+strings.TrimSuffix(complaint, "\n"))
			}
			l, said := try(t, "--config", path)
			require.True(t, l.Faults.Bad())
			got := strings.Split(strings.TrimSuffix(said, "\n"), "\n")
			require.Len(t, got, len(want), said)
			for i := range want {
				require.True(t, strings.HasPrefix(got[i], want[i]), "got  %s\nwant %s", got[i], want[i])
			}
		})
	}
}

func TestGoodFilesRoundTrip(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			first, said := try(t, "--config", path)
			require.Empty(t, said)
			text, err := Render(first.Config)
			require.NoError(t, err)
			second, said := try(t, "--config", write(t, string(text)))
			require.Empty(t, said)
			require.Equal(t, first.Config, second.Config)
			again, err := Render(second.Config)
			require.NoError(t, err)
			require.Equal(t, string(text), string(again))
		})
	}
}

func TestTheFullFileIsReadAsWritten(t *testing.T) {
	l, said := try(t, "--config", "testdata/good/full.yaml")
	require.Empty(t, said)
	c := l.Config
	require.Equal(t, 3, c.Loops)
	require.Equal(t, []Listener{
		{Name: "aoai", Address: listen(":443"), Upstream: "dais24", AcceptProxy: "off"},
		{Name: "127.0.0.1:443", Address: listen("127.0.0.1:443"), Upstream: "2001:db8::1", AcceptProxy: "optional"},
		{
			Name: "shared", Address: listen(":8443"), AcceptProxy: "required",
			AllowSources: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("fd00::/8")}, AllowVPCE: []string{"vpce-0123456789abcdef0"},
			Routes: []Route{
				{SNI: []string{"dais24-aoai-demo.openai.azure.com", "*.cognitiveservices.azure.com"}, Upstream: "dais24"},
				{SNI: []string{"*.openai.azure.com"}, Upstream: "2001:db8::1"},
			},
		},
	}, c.Listeners)
	require.Equal(t, Connect{3 * time.Second, 2, 100 * time.Millisecond}, c.Upstreams[0].Connect)
	require.Equal(t, upstreamWithDefaults("2001:db8::1", "[2001:db8::1]:443"), c.Upstreams[1])
	require.Equal(t, []HostPort{{"10.2.0.4", 443}, {"backup.example", 443}}, c.Upstreams[0].Backups)
	require.Equal(t, RoundRobin, c.Upstreams[0].Balance)
	require.Equal(t, 100, c.Upstreams[0].MaxConnections)
	require.Equal(t, Check{CheckHTTPS, time.Second, 500 * time.Millisecond, 1, 2, "/openai/v1/models?limit=1"}, c.Upstreams[0].Check)
	require.Equal(t, Outlier{3, 10 * time.Second, 100}, c.Upstreams[0].Outlier)
	require.Equal(t, Warm{8, 5 * time.Second}, c.Upstreams[0].Warm)
	require.Equal(t, SendProxyV2, c.Upstreams[0].SendProxy)
	require.Equal(t, Limits{MaxConnections: 5000, PerSource: 100, AcceptRate: 500, Buffered: 512 << 20}, c.Limits)
	require.Equal(t, 90*time.Minute, c.Timeouts.Idle)
	require.Equal(t, []netip.AddrPort{netip.MustParseAddrPort("10.0.0.2:53"), netip.MustParseAddrPort("10.0.0.3:5353"), netip.MustParseAddrPort("[fd00::53]:53")}, c.DNS.Servers)
	require.Equal(t, EIP{pool("tag:l4fwd-pool=aoai"), false, ReleaseNever, 10 * time.Second}, c.EIP)
	require.Equal(t, Lifecycle{"off", "off"}, c.Lifecycle)
	require.Equal(t, Drain{0, 90 * time.Minute}, c.Drain)
	require.Equal(t, Log{LevelDebug, FormatJSON, AccessAll, true, time.Minute}, c.Log)
	require.Equal(t, Keepalive{30 * time.Second, 10 * time.Second, 3, 20 * time.Second}, c.Keepalive)
	require.Equal(t, AdmissionStrict, c.Upstreams[0].Admission)
	require.True(t, c.Upstreams[0].Required)
}

func TestChecksOverHTTPS(t *testing.T) {
	l, said := try(t, "--config", write(t, `upstreams: [{address: "a.example:443", check: {type: https, path: "/models?limit=1"}, admission: strict}]`))
	require.Empty(t, said)
	require.Equal(t, CheckHTTPS, l.Config.Upstreams[0].Check.Type)
	require.Equal(t, "/models?limit=1", l.Config.Upstreams[0].Check.Path)
	require.Equal(t, AdmissionStrict, l.Config.Upstreams[0].Admission)
	for path, want := range map[string]string{
		`upstreams: [{address: "a.example:443", check: {path: /models}}]`: "warning: FILE:1: upstreams[0].check.path: has no effect: the check's type is tcp; set check.type to https, or remove the key\n",
		`upstreams: [{address: "a.example:443", admission: strict}]`:      "warning: FILE:1: upstreams[0].admission: has no effect: the check's type is tcp; set check.type to https, or remove the key\n",
		`upstreams: [{address: "10.0.0.1:443", check: {type: https}}]`:    "warning: FILE:1: upstreams[0].check.type: the certificate must be valid for the IP address 10.0.0.1; name the upstream by its DNS name, or use tcp if the certificate has only that\n",
		`upstreams: [{address: "a.example:443", check: {path: models}}]`:  "FILE:1: upstreams[0].check.path: \"models\" does not begin with a slash; write a path like /openai/v1/models, in ASCII and without spaces\n",
		`upstreams: [{address: "a.example:443", check: {path: "/a b"}}]`:  "FILE:1: upstreams[0].check.path: \"/a b\" has a character ' '; write a path like /openai/v1/models, in ASCII and without spaces\n",
		`upstreams: [{address: "a.example:443", check: {path: "/a#b"}}]`:  "FILE:1: upstreams[0].check.path: \"/a#b\" has a fragment (#), which no server is sent; write a path like /openai/v1/models, in ASCII and without spaces\n",
	} {
		file := write(t, path)
		_, said := try(t, "--config", file)
		require.Equal(t, strings.ReplaceAll(want, "FILE", file), said)
	}
}

func TestMergedSectionsGiveWay(t *testing.T) {
	l, said := try(t, "--config", "testdata/good/aliases.yaml")
	require.Empty(t, said)
	require.Equal(t, "b", l.Config.Upstreams[1].Name)
	require.Equal(t, HostPort{"a.example", 443}, l.Config.Upstreams[1].Address)
	require.Equal(t, time.Second, l.Config.Upstreams[1].Connect.Timeout)
	require.Equal(t, 3, l.Config.Upstreams[1].Connect.Attempts)
	require.Equal(t, time.Hour, l.Config.Timeouts.HalfClose)
}

// upstreamWithDefaults is what the operator's interface promises of an upstream that says no more.
func upstreamWithDefaults(name, address string) Upstream {
	return Upstream{
		Name: name, Address: hostPort(address), Balance: LeastConn, Admission: AdmissionStart,
		Connect:   Connect{5 * time.Second, 3, 250 * time.Millisecond},
		Check:     Check{CheckTCP, 10 * time.Second, 3 * time.Second, 2, 3, "/openai/v1/models"},
		Outlier:   Outlier{5, 30 * time.Second, 50},
		Warm:      Warm{0, 20 * time.Second},
		SendProxy: "off",
	}
}

// The defaults that INTERFACE.md fixes, since scripts rely on them.
func TestContractDefaults(t *testing.T) {
	l, said := try(t, "--upstream", "example.com:443")
	require.Empty(t, said)
	require.Equal(t, Config{
		Engine: "auto", Steering: "off", Reload: "off",
		Listeners: []Listener{{Name: ":443", Address: listen(":443"), Upstream: "example.com", AcceptProxy: "off"}},
		Upstreams: []Upstream{upstreamWithDefaults("example.com", "example.com:443")},
		Timeouts:  Timeouts{5 * time.Second, time.Hour, 5 * time.Minute},
		Keepalive: Keepalive{time.Minute, 15 * time.Second, 4, 0},
		DNS:       DNS{MinTTL: 5 * time.Second, MaxTTL: 5 * time.Minute, Timeout: 2 * time.Second},
		EIP:       EIP{eip.Selector{}, true, "shutdown", 30 * time.Second},
		Lifecycle: Lifecycle{"auto", "auto"},
		Drain:     Drain{5 * time.Second, 5 * time.Minute},
		Health:    Health{Endpoint{Addr: netip.MustParseAddrPort("[::]:8080")}},
		Admin:     Admin{Endpoint{Addr: netip.MustParseAddrPort("127.0.0.1:9901")}, false},
		Log:       Log{Level: LevelInfo, Access: AccessErrors},
	}, l.Config)
}

// Each key is documented, in at most maxDoc characters, and its default is a value that it allows.
func TestEveryKeyIsDescribedAndItsDefaultIsAllowed(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range leaves(new(Config).keys()) {
		require.False(t, seen[k.path], k.path)
		seen[k.path] = true
		require.NotEmpty(t, k.doc, k.path)
		require.LessOrEqual(t, len([]rune(k.doc)), maxDoc, k.path)
		require.True(t, k.flag == "" || k.arg != "", k.path)
		if k.hasDef {
			require.NoError(t, k.field.set(k.def), k.path)
		}
	}
	require.Equal(t, Connect{5 * time.Second, 3, 250 * time.Millisecond}, newUpstream(hostPort("a:1")).Connect)
}

// must is a parser for tests.
func must[T any](parse func(string) (T, error), text string) T {
	v, err := parse(text)
	if err != nil {
		panic(err)
	}
	return v
}

func hostPort(text string) HostPort { return must(ParseHostPort, text) }
func listen(text string) ListenAddr { return must(ParseListen, text) }
func pool(text string) eip.Selector { return must(parsePool, text) }

func TestUnreadableFiles(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.yaml")
	require.NoError(t, os.WriteFile(big, bytes.Repeat([]byte("# filler\n"), maxFile/8), 0o600))
	cases := map[string]string{
		filepath.Join(dir, "none.yaml"): "cannot be read: no such file or directory",
		dir:                             "cannot be read: is a directory",
		big:                             "is larger than 1 MiB, so it is no configuration",
	}
	for path, want := range cases {
		_, said := try(t, "--upstream", "example.com:443", "--config", path)
		require.Equal(t, path+": "+want+"\n", said)
	}
}

func TestIdleKeepaliveAboveTheCloudsTimeoutsIsAWarning(t *testing.T) {
	path := write(t, "upstream: example.com:443\nkeepalive: {idle: 300s}\n")
	l, said := try(t, "--config", path)
	require.False(t, l.Faults.Bad())
	require.Contains(t, said, "warning: "+path+":2: keepalive.idle: 5m is longer than 240s; ")
}

func FuzzFile(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		files, _ := filepath.Glob(pattern)
		for _, path := range files {
			content, err := os.ReadFile(path)
			require.NoError(f, err)
			f.Add(content)
		}
	}
	path := filepath.Join(f.TempDir(), "fuzz.yaml")
	f.Fuzz(func(t *testing.T, content []byte) {
		require.NoError(t, os.WriteFile(path, content, 0o600))
		fs := pflag.NewFlagSet("fuzz", pflag.ContinueOnError)
		AddFileFlag(fs)
		require.NoError(t, fs.Parse([]string{"--config", path}))
		l := Load(fs)
		l.Faults.Print(io.Discard)
		for _, fault := range l.Faults {
			checkPlace(t, fault, path, l.Broken)
		}
		if l.Faults.Bad() {
			return
		}
		effective, err := Render(l.Config)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, effective, 0o600))
		again := Load(fs)
		require.False(t, again.Faults.Bad(), "what check prints passes check: %s", effective)
		require.Equal(t, l.Config, again.Config)
	})
}

// checkPlace wants a fault to say where it is: file, line and key. What is missing, or wrong with the file as a whole, is in no
// line. A key that is no name ("? [a, b]") cannot be named, and << at the top of the file names itself.
func checkPlace(t *testing.T, f *Fault, path string, broken bool) {
	require.Equal(t, path, f.Where.file, "%v", f)
	require.NotEmpty(t, f.What)
	require.NotContains(t, f.Error(), "\n")
	whole := broken || strings.HasPrefix(f.What, "no upstream")
	if f.Key == "" && !whole && !strings.HasPrefix(f.What, "a key is ") && !strings.HasPrefix(f.What, "<< merges ") {
		t.Fatalf("no key: %v", f)
	}
	if f.Where.line == 0 && !whole {
		t.Fatalf("no line: %v", f)
	}
}
