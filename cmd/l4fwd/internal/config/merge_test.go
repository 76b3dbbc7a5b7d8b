package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	oneUpstream  = "upstreams: [{name: a, address: 'a.example:443', warm: {connections: 3}}]\n"
	twoUpstreams = "upstreams: [{name: a, address: 'a.example:443'}, {name: b, address: 'b.example:443'}]\n"
	oneListener  = "listeners: [{name: l, address: ':8443', allow_sources: [10.0.0.0/8]}]\n"
	twoListeners = "listeners: [{address: ':8443', upstream: a}, {address: ':8444', upstream: b}]\n"
)

// What the shorthands upstream, listen and warm do beside the entries they stand for.
func TestShorthands(t *testing.T) {
	for name, c := range map[string]struct {
		file      string
		args      []string
		upstreams string // name address warm, of each
		listeners string // name address upstream, of each
		says      string // FILE stands for the file
	}{
		"nothing but upstream":        {"upstream: a.example:443\n", nil, "a.example a.example:443 0", ":443 :443 a.example", ""},
		"warm of it":                  {"upstream: a.example:443\nwarm: 4\n", nil, "a.example a.example:443 4", ":443 :443 a.example", ""},
		"warm by flag":                {"upstream: a.example:443\nwarm: 4\n", []string{"--warm=5"}, "a.example a.example:443 5", ":443 :443 a.example", ""},
		"warm of the file's entry":    {oneUpstream, []string{"--warm=5"}, "a a.example:443 5", ":443 :443 a", ""},
		"no warm":                     {oneUpstream, nil, "a a.example:443 3", ":443 :443 a", ""},
		"warm 0 is a value":           {oneUpstream, []string{"--warm=0"}, "a a.example:443 0", ":443 :443 a", ""},
		"upstream replaces the entry": {oneUpstream, []string{"--upstream=c.example:1"}, "a c.example:1 3", ":443 :443 a", ""},
		"listen replaces the address": {oneUpstream + oneListener, []string{"--listen=:1"}, "a a.example:443 3", "l :1 a", ""},
		"listen of several":           {twoUpstreams + twoListeners, []string{"--listen=:1,:2"}, "a a.example:443 0|b b.example:443 0", ":1 :1 a|:2 :2 b", ""},
		"listen without entries":      {oneUpstream, []string{"--listen=:1", "--listen=:2"}, "a a.example:443 3", ":1 :1 a|:2 :2 a", ""},
		"listen of the file":          {oneUpstream + "listen: [':1', ':2']\n", nil, "a a.example:443 3", ":1 :1 a|:2 :2 a", ""},
		"listen of the file by flag":  {oneUpstream + "listen: [':1', ':2']\n", []string{"--listen=:3"}, "a a.example:443 3", ":3 :3 a", ""},
		"upstream of several": {twoUpstreams, []string{"--upstream=c.example:1"}, "", "",
			"l4fwd: flag --upstream: the file has 2 upstreams, and one address cannot stand for them; change the file\n"},
		"warm of several": {twoUpstreams + twoListeners, []string{"--warm=1"}, "", "",
			"l4fwd: flag --warm: the file has 2 upstreams, and this cannot choose between them; write warm.connections below the one you mean\n"},
		"too few for listen": {twoUpstreams + twoListeners, []string{"--listen=:1"}, "", "",
			"l4fwd: flag --listen: 1 addresses for the 2 listeners of the file; give as many, or change the file\n"},
		"upstream beside upstreams": {"upstream: c.example:1\n" + oneUpstream, nil, "", "", "FILE:1: upstream: stands beside upstreams; write one of the two\n"},
		"the same, whatever wins": {"upstream: c.example:1\n" + oneUpstream, []string{"--upstream=d.example:1"}, "", "",
			"FILE:1: upstream: stands beside upstreams; write one of the two\n"},
		"listen beside listeners": {"upstream: a.example:443\nlisten: [':1']\n" + oneListener, nil, "", "", "FILE:2: listen: stands beside listeners; write one of the two\n"},
		"empty lists":             {"upstreams: []\nlisteners: []\n", nil, "", "", "FILE:1: no upstream: name one with --upstream HOST:443, in L4FWD_UPSTREAM, or under upstreams in a file given with --config\nFILE:2: listeners: the list is empty; name at least one, or remove the key for one on :443\n"},
		"empty listen":            {oneUpstream + "listen: []\n", nil, "", "", "FILE:2: listen: the list is empty; name at least one, or remove the key for one on :443\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.file)
			l, said := try(t, append([]string{"--config", path}, c.args...)...)
			require.Equal(t, strings.ReplaceAll(c.says, "FILE", path), said)
			if c.says != "" {
				require.True(t, l.Faults.Bad())
				return
			}
			require.Equal(t, c.upstreams, upstreamsOf(l.Config))
			require.Equal(t, c.listeners, listenersOf(l.Config))
			require.Zero(t, l.Config.Upstream)
			require.Nil(t, l.Config.Listen)
			require.Zero(t, l.Config.Warm)
		})
	}
}

func upstreamsOf(c Config) string {
	var all []string
	for _, u := range c.Upstreams {
		all = append(all, u.Name+" "+u.Address.String()+" "+formatSize(int64(u.Warm.Connections)))
	}
	return strings.Join(all, "|")
}

func listenersOf(c Config) string {
	var all []string
	for _, in := range c.Listeners {
		all = append(all, in.Name+" "+in.Address.String()+" "+in.Serves())
	}
	return strings.Join(all, "|")
}

func TestTheDefaultListenerIsKnownAsThat(t *testing.T) {
	for text, want := range map[string]bool{
		oneUpstream: true, "upstream: a.example:443\n": true, oneUpstream + oneListener: false, oneUpstream + "listen: [':443']\n": false, oneUpstream + "listeners: []\n": false,
	} {
		l, _ := try(t, "--config", write(t, text))
		require.Equal(t, want, l.DefaultListener, text)
	}
	l, _ := try(t, "--config", write(t, oneUpstream), "--listen=:443")
	require.False(t, l.DefaultListener)
}

// A fault that a shorthand brought about is reported with the key that somebody wrote.
func TestFaultsOfShorthandsNameWhatWasWritten(t *testing.T) {
	path := write(t, "upstream: 127.0.0.1:8443\nlisten: ['127.0.0.1:8443', ':8080']\n")
	_, said := try(t, "--config", path)
	require.Equal(t, path+":1: upstream: \"127.0.0.1:8443\" is this daemon's own listen[0], which would have it forward to itself; name the server behind it\n"+
		path+":2: listen[1]: [::]:8080 is taken by health.address already; give each its own port\n", said)
	_, said = try(t, "--upstream=127.0.0.1:8443", "--listen=:8443")
	require.Contains(t, said, "l4fwd: flag --upstream: \"127.0.0.1:8443\" is this daemon's own listen[0], which would have it forward to itself; name the server behind it\n")
}

func TestListenersServe(t *testing.T) {
	in := Listener{Upstream: "a"}
	require.Equal(t, "a", in.Serves())
	in.Routes = []Route{{Upstream: "b"}, {Upstream: "c"}, {Upstream: "b"}}
	require.Equal(t, "b,c", in.Serves())
	in = Listener{Routes: []Route{{Upstream: "b"}}}
	in.complete([]Upstream{{Name: "a"}})
	require.Empty(t, in.Upstream, "routes refuse what they do not list")
}
