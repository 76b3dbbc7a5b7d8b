package config

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// serveFlags are the flags of serve.
func serveFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	AddFileFlag(fs)
	AddFlags(fs)
	GiveOnce(fs)
	return fs
}

func TestHelpSaysWhatEachFlagTakes(t *testing.T) {
	usage := serveFlags().FlagUsages()
	for _, want := range []string{
		"--admin ADDR", "--config FILE", "--dns-server ADDR", "--drain-timeout D", "--eip-pool SELECTOR", "--engine NAME", "--health ADDR", "--listen ADDR",
		"--log-format FORMAT", "--log-level LEVEL", "--loops N", "--upstream HOST:PORT", "--warm N",
		`(default "info")`, "(default 5m)", "(default auto)", "(default 127.0.0.1:9901)", "May be repeated.", "One of auto, uring, epoll, portable.", `One of "", json, console.`,
	} {
		require.Contains(t, strings.ReplaceAll(strings.ReplaceAll(usage, `"`, ""), "  ", " "), strings.ReplaceAll(want, `"`, ""))
	}
	require.NotContains(t, usage, "`", "it would be taken for the name of a value")
}

func TestAVerbMayHaveSomeOfTheFlags(t *testing.T) {
	fs := pflag.NewFlagSet("status", pflag.ContinueOnError)
	AddFileFlag(fs)
	AddFlags(fs, "admin")
	var have []string
	fs.VisitAll(func(f *pflag.Flag) { have = append(have, f.Name) })
	require.Equal(t, []string{"admin", "config"}, have)
	require.NoError(t, fs.Parse([]string{"--admin=127.0.0.1:1"}))
	l := Load(fs)
	require.Equal(t, "127.0.0.1:1", l.Config.Admin.Address.String(), "the others may be missing")
}

// The last one would win silently.
func TestAFlagOfOneValueIsGivenOnce(t *testing.T) {
	for flag, instead := range map[string]string{
		"loops": "write it once", "upstream": "write several under upstreams in a file", "eip-pool": "write it once; allocation ids have commas between",
	} {
		fs := serveFlags()
		require.NoError(t, fs.Parse([]string{"--" + flag + "=1", "--" + flag + "=2"}))
		l := Load(fs)
		require.True(t, l.Faults.Bad())
		require.Contains(t, faultsOf(l), "flag --"+flag+` is given twice: "1", "2"; `+instead)
	}
	err := serveFlags().Parse([]string{"--config=a", "--config=b"})
	var repeated *RepeatedFlag
	require.ErrorAs(t, err, &repeated)
	require.EqualError(t, repeated, `flag --config is given twice: "a", "b"; write it once`)
	require.NoError(t, serveFlags().Parse([]string{"--listen=:1", "--listen=:2", "--dns-server=10.0.0.1", "--dns-server=10.0.0.2"}))
}

func faultsOf(l *Loaded) string {
	var b strings.Builder
	l.Faults.Print(&b)
	return b.String()
}

// A flag shows its default in --help, and then what it was given.
func TestFlagsAreTexts(t *testing.T) {
	fs := serveFlags()
	f := fs.Lookup("drain-timeout")
	require.Equal(t, "5m", f.Value.String())
	require.Equal(t, "D", f.Value.Type())
	require.NoError(t, f.Value.Set("nonsense"), "what is wrong is reported with all other faults")
	require.Equal(t, "nonsense", f.Value.String())
	require.Empty(t, (&textFlag{}).String(), "pflag asks a zero value, too")
}

func TestAnEmptyFlagOfAListIsAFault(t *testing.T) {
	for _, text := range []string{"", ",", " , "} {
		_, said := try(t, "--upstream=a.example:443", "--listen="+text)
		require.Equal(t, "l4fwd: flag --listen: names no address; write ADDR, or leave the flag away\n", said)
	}
}

// Variables of lists have their faults reported one by one; what is right does not hide them.
func TestEachPartOfAListIsChecked(t *testing.T) {
	t.Setenv("L4FWD_DNS_SERVERS", "10.0.0.1,x,10.0.0.2,y")
	l, said := try(t, "--upstream=a.example:443")
	require.True(t, l.Faults.Bad())
	require.Equal(t, 2, strings.Count(said, "\n"))
	require.Contains(t, said, `l4fwd: L4FWD_DNS_SERVERS: "x" is not the address of a resolver; `)
	require.Contains(t, said, `l4fwd: L4FWD_DNS_SERVERS: "y" is not the address of a resolver; `)
	require.Nil(t, l.Config.DNS.Servers)
}

// The file is named by flag or variable, and by nothing else.
func TestTheFileIsNamed(t *testing.T) {
	one, two := write(t, "upstream: one.example:443\n"), write(t, "upstream: two.example:443\n")
	t.Setenv("L4FWD_CONFIG", one)
	l, _ := try(t)
	require.Equal(t, one, l.Path)
	require.Equal(t, "one.example", l.Config.Upstreams[0].Name)
	require.Equal(t, StateOf(one), l.File)
	l, _ = try(t, "--config", two)
	require.Equal(t, two, l.Path)
	require.Equal(t, "two.example", l.Config.Upstreams[0].Name)
	l, said := try(t, "--config", "", "--upstream=a.example:443")
	require.Empty(t, l.Path, "an empty flag is no file")
	require.Empty(t, said)
	require.Equal(t, FileState{}, l.File)
	l, said = try(t, "--config", one+"x", "--upstream=a.example:443")
	require.True(t, l.Broken)
	require.Equal(t, one+"x: cannot be read: no such file or directory\n", said)
}
