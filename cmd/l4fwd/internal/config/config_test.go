package config

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
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
		{Name: "aoai", Address: ":443", Upstream: "dais24", AcceptProxy: "off"},
		{Name: "127.0.0.1:443", Address: "127.0.0.1:443", Upstream: "2001:db8::1", AcceptProxy: "optional"},
		{
			Name: "shared", Address: ":8443", AcceptProxy: "required",
			AllowSources: []string{"10.0.0.0/8", "192.0.2.7", "fd00::/8"}, AllowVPCE: []string{"vpce-0123456789abcdef0"},
			Routes: []Route{
				{SNI: []string{"dais24-aoai-demo.openai.azure.com", "*.cognitiveservices.azure.com"}, Upstream: "dais24"},
				{SNI: []string{"*.openai.azure.com"}, Upstream: "2001:db8::1"},
			},
		},
	}, c.Listeners)
	require.Equal(t, Connect{Duration(3 * time.Second), 2}, c.Upstreams[0].Connect)
	require.Equal(t, upstreamWithDefaults("2001:db8::1", "[2001:db8::1]:443"), c.Upstreams[1])
	require.Equal(t, []string{"10.2.0.4:443", "backup.example:443"}, c.Upstreams[0].Backups)
	require.Equal(t, "round_robin", c.Upstreams[0].Balance)
	require.Equal(t, 100, c.Upstreams[0].MaxConnections)
	require.Equal(t, Check{"tls", Duration(time.Second), Duration(500 * time.Millisecond), 1, 2}, c.Upstreams[0].Check)
	require.Equal(t, Outlier{3, Duration(10 * time.Second), 100}, c.Upstreams[0].Outlier)
	require.Equal(t, Warm{8, Duration(5 * time.Second)}, c.Upstreams[0].Warm)
	require.Equal(t, "v2", c.Upstreams[0].SendProxy)
	require.Equal(t, Limits{MaxConnections: 5000, PerSource: 100, AcceptRate: 500}, c.Limits)
	require.Equal(t, Duration(90*time.Minute), c.Timeouts.Idle)
	require.Equal(t, []string{"10.0.0.2", "10.0.0.3:5353", "fd00::53"}, c.DNS.Servers)
	require.Equal(t, EIP{"tag:l4fwd-pool=aoai", false, "never", Duration(10 * time.Second)}, c.EIP)
	require.Equal(t, Lifecycle{"off", "off"}, c.Lifecycle)
	require.Equal(t, Drain{0, Duration(90 * time.Minute)}, c.Drain)
	require.Equal(t, "all", c.Log.Access)
}

func TestMergedSectionsGiveWay(t *testing.T) {
	l, said := try(t, "--config", "testdata/good/aliases.yaml")
	require.Empty(t, said)
	require.Equal(t, "b", l.Config.Upstreams[1].Name)
	require.Equal(t, "a.example:443", l.Config.Upstreams[1].Address)
	require.Equal(t, Duration(time.Second), l.Config.Upstreams[1].Connect.Timeout)
	require.Equal(t, 3, l.Config.Upstreams[1].Connect.Attempts)
	require.Equal(t, Duration(time.Hour), l.Config.Timeouts.HalfClose)
}

// upstreamWithDefaults is what the operator's interface promises of an upstream that says no more.
func upstreamWithDefaults(name, address string) Upstream {
	return Upstream{
		Name: name, Address: address, Balance: "least_conn",
		Connect:   Connect{Duration(5 * time.Second), 3},
		Check:     Check{"tcp", Duration(10 * time.Second), Duration(3 * time.Second), 2, 3},
		Outlier:   Outlier{5, Duration(30 * time.Second), 50},
		Warm:      Warm{0, Duration(20 * time.Second)},
		OnRemoved: "keep",
		SendProxy: "off",
	}
}

// The defaults that INTERFACE.md fixes, since scripts rely on them.
func TestContractDefaults(t *testing.T) {
	l, said := try(t, "--upstream", "example.com:443")
	require.Empty(t, said)
	require.Equal(t, Config{
		Engine: "auto", Reload: "off",
		Listeners: []Listener{{Name: ":443", Address: ":443", Upstream: "example.com", AcceptProxy: "off"}},
		Upstreams: []Upstream{upstreamWithDefaults("example.com", "example.com:443")},
		Timeouts:  Timeouts{Duration(5 * time.Second), Duration(time.Hour), Duration(5 * time.Minute)},
		Keepalive: Keepalive{Duration(time.Minute), Duration(15 * time.Second), 4},
		DNS:       DNS{MinTTL: Duration(5 * time.Second), MaxTTL: Duration(5 * time.Minute), Timeout: Duration(2 * time.Second)},
		EIP:       EIP{"", true, "shutdown", Duration(30 * time.Second)},
		Lifecycle: Lifecycle{"auto", "auto"},
		Drain:     Drain{Duration(5 * time.Second), Duration(5 * time.Minute)},
		Health:    Health{":8080"},
		Admin:     Admin{"127.0.0.1:9901", false},
		Log:       Log{"info", "", "errors"},
	}, l.Config)
}

func TestEveryKeyIsDescribedAndItsDefaultIsAllowed(t *testing.T) {
	var walk func(keys []*key)
	walk = func(keys []*key) {
		for _, k := range keys {
			walk(k.keys)
			if k.section() {
				continue
			}
			require.NotEmpty(t, k.doc, k.path)
			require.True(t, k.flag == "" || k.arg != "", k.path)
			if k.hasDef {
				_, err := k.parse(k.def)
				require.NoError(t, err, k.path)
			}
		}
	}
	walk(schema)
	require.Equal(t, Connect{Duration(5 * time.Second), 3}, newUpstream("a:1").Connect)
}

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
// line.
func checkPlace(t *testing.T, f *Fault, path string, broken bool) {
	require.Equal(t, path, f.Where.file, "%v", f)
	require.NotEmpty(t, f.What)
	require.NotContains(t, f.Error(), "\n")
	whole := broken || strings.HasPrefix(f.What, "no upstream")
	if f.Key == "" && !whole && f.What != "a key is empty" {
		t.Fatalf("no key: %v", f)
	}
	if f.Where.line == 0 && !whole {
		t.Fatalf("no line: %v", f)
	}
}
