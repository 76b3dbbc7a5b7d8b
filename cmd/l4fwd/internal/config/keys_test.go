package config

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// keyCase is what the operator's interface promises of a key: scripts and dashboards rely on it.
type keyCase struct {
	path string
	def  string // its default, as check prints it
	good string // another value
	bad  string // what is no value of it
	says string // of the bad one
}

// keyCases are all keys.
var keyCases = []keyCase{
	{"upstream", "", "a.example:443", "a.example", `"a.example" has no port; write a.example:443`},
	{"listen", "", ":8443", "8443", `"8443" has no colon; write :8443`},
	{"loops", "0", "2", "1025", "1025 is out of range; write a number from 0 to 1024"},
	{"engine", "auto", "epoll", "iouring", `"iouring" is not a choice, did you mean uring?; use one of auto, uring, epoll, portable`},
	{"steering", "off", "cpu", "on", `"on" is not a choice; use one of off, cpu`},
	{"warm", "0", "8", "10001", "10001 is out of range; write a number from 0 to 10000"},
	{"reload", "off", "watch", "on", `"on" is not a choice; use one of off, watch`},
	{"listeners[].name", "", "front", "a b", `the name "a b" has a character ' '; use letters, digits and . _ - : * [ ] %, at most 253 of them`},
	{"listeners[].address", "", "127.0.0.1:8443", "a.example:1", `"a.example:1" is not an address: "a.example" is no IP address; write IP:PORT, or :PORT for every address`},
	{"listeners[].upstream", "", "b", "nowhere", `there is no upstream "nowhere"; names known: a, b`},
	{"listeners[].accept_proxy", "off", "required", "v2", `"v2" is not a choice; use one of off, optional, required`},
	{"listeners[].allow_sources", "", "10.0.0.0/8", "10.0.0.0/33", `"10.0.0.0/33" is neither a CIDR like 10.0.0.0/8 nor an address; write a CIDR or an address`},
	{"listeners[].allow_vpce", "", "vpce-0123456789abcdef0", "vpce-1", `"vpce-1" is no VPC endpoint id like vpce-0123456789abcdef0; write vpce- and 17 hexadecimal digits`},
	{"listeners[].routes[].sni", "", "*.a.example", "*", `"*" names nothing`},
	{"listeners[].routes[].upstream", "", "b", "nowhere", `there is no upstream "nowhere"; names known: a, b`},
	{"upstreams[].name", "", "other", "", "the name is empty; use letters, digits"},
	{"upstreams[].address", "", "10.2.0.4:443", "0.0.0.0:443", `"0.0.0.0:443": 0.0.0.0 is no destination; write the address of the upstream`},
	{"upstreams[].addresses", "", "10.2.0.5:443", "b.example", `"b.example" has no port; write b.example:443`},
	{"upstreams[].backups", "", "10.2.0.5:443", "b.example:0", `"b.example:0": port 0 cannot be connected to; write a port from 1 to 65535`},
	{"upstreams[].balance", "least_conn", "first", "leastconn", `"leastconn" is not a choice, did you mean least_conn?; use one of least_conn, round_robin, first`},
	{"upstreams[].max_connections", "0", "100", "-1", "-1 is out of range; write a number from 0 to 10000000"},
	{"upstreams[].connect.timeout", "5s", "2s", "1ms", "1ms is out of range; write a duration from 10ms to 5m"},
	{"upstreams[].connect.attempts", "3", "1", "0", "0 is out of range; write a number from 1 to 100"},
	{"upstreams[].connect.stagger", "250ms", "0s", "6m", "6m is out of range; write a duration from 0s to 5m"},
	{"upstreams[].check.type", "tcp", "tls", "ssl", `"ssl" is not a choice; use one of none, tcp, tls, https`},
	{"upstreams[].check.interval", "10s", "1s", "10", "the number 10 has no unit; write 10s for seconds, or a unit of ms, s, m, h; a duration from 100ms to 24h"},
	{"upstreams[].check.timeout", "3s", "1s", "1d", `"1d": there is no unit d; write 24h; a duration from 10ms to 5m`},
	{"upstreams[].check.rise", "2", "1", "1.5", `"1.5" is not a whole number; write a number from 1 to 1000`},
	{"upstreams[].check.fall", "3", "1", "1001", "1001 is out of range; write a number from 1 to 1000"},
	{"upstreams[].check.path", "/openai/v1/models", "/health", "health", `"health" does not begin with a slash; write a path like /openai/v1/models, in ASCII and without spaces`},
	{"upstreams[].admission", "start", "off", "always", `"always" is not a choice; use one of start, strict, off`},
	{"upstreams[].required", "false", "true", "yes!", `"yes!" is neither true nor false; write true or false`},
	{"upstreams[].outlier.failures", "5", "0", "1000001", "1000001 is out of range; write a number from 0 to 1000000"},
	{"upstreams[].outlier.ejection", "30s", "1m", "never", `"never" is not a duration; write a number with a unit of ms, s, m, h, like 5s or 1m30s; a duration from 100ms to 24h`},
	{"upstreams[].outlier.max_ejected_percent", "50", "100", "101", "101 is out of range; write a number from 0 to 100"},
	{"upstreams[].warm.connections", "0", "32", "10001", "10001 is out of range; write a number from 0 to 10000"},
	{"upstreams[].warm.max_idle", "20s", "10s", "2h", "2h is out of range; write a duration from 100ms to 1h"},
	{"upstreams[].source_addresses", "", "10.0.0.9", "10.0.0.9:80", `"10.0.0.9:80" is no IP address; write an IP address of this machine, without a port`},
	{"upstreams[].on_removed", "keep", "close_after 5m", "close", `"close" is not a choice; write keep, or close_after and a duration from 0s to 720h, like close_after 5m`},
	{"upstreams[].send_proxy", "off", "v2", "v3", `"v3" is not a choice, did you mean v1?; use one of off, v1, v2`},
	{"timeouts.preface", "5s", "2s", "2h", "2h is out of range; write a duration from 10ms to 1h"},
	{"timeouts.idle", "1h", "10m", "0s", "0s is out of range; write a duration from 1s to 720h"},
	{"timeouts.half_close", "5m", "1m", "-1s", "-1s is negative; write a duration from 1s to 720h"},
	{"keepalive.idle", "1m", "30s", "1500ms", "1.5s is not in whole seconds; the kernel knows no finer ones"},
	{"keepalive.interval", "15s", "10s", "10h", "10h is out of range; write a duration from 1s to 9h"},
	{"keepalive.count", "4", "3", "128", "128 is out of range; write a number from 1 to 127"},
	{"keepalive.user_timeout", "0s", "2m", "25h", "25h is out of range; write a duration from 0s to 24h"},
	{"limits.max_connections", "0", "5000", "10000001", "10000001 is out of range; write a number from 0 to 10000000"},
	{"limits.per_source", "0", "10", "-1", "-1 is out of range; write a number from 0 to 10000000"},
	{"limits.accept_rate", "0", "500", "1000001", "1000001 is out of range; write a number from 0 to 1000000"},
	{"limits.buffered", "0", "512MiB", "512MB", `"512MB" is not a size; write a number of bytes up to 1TiB, or one with a unit, like 512MiB`},
	{"dns.servers", "", "10.0.0.2:53", "dns.example", `"dns.example" is not the address of a resolver; write IP or IP:PORT, like 10.0.0.2`},
	{"dns.min_ttl", "5s", "1s", "1ms", "1ms is out of range; write a duration from 100ms to 24h"},
	{"dns.max_ttl", "5m", "1m", "25h", "25h is out of range; write a duration from 100ms to 24h"},
	{"dns.timeout", "2s", "1s", "2m", "2m is out of range; write a duration from 10ms to 1m"},
	{"eip.pool", "", "tag:a=b", "a=b", `"a=b" selects no addresses, did you mean tag:a=b?; write tag:KEY=VALUE, tag-key:KEY, or eipalloc-… ids with commas between`},
	{"eip.required", "true", "false", "no!", `"no!" is neither true nor false; write true or false`},
	{"eip.release", "shutdown", "never", "always", `"always" is not a choice; use one of shutdown, never`},
	{"eip.verify_interval", "30s", "1m", "2h", "2h is out of range; write a duration from 1s to 1h"},
	{"lifecycle.asg", "auto", "off", "on", `"on" is not a choice`},
	{"lifecycle.spot", "auto", "off", "on", `"on" is not a choice`},
	{"drain.lame_duck", "5s", "0s", "2h", "2h is out of range; write a duration from 0s to 1h"},
	{"drain.timeout", "5m", "0s", "169h", "169h is out of range; write a duration from 0s to 168h"},
	{"health.address", ":8080", "off", "8081", `"8081" has no colon; write :8081, or off`},
	{"admin.address", "127.0.0.1:9901", "unix:/run/a.sock", "unix:@a", `"unix:@a" is not the path of a socket; write unix:PATH, like unix:/run/l4fwd/admin.sock`},
	{"admin.allow_remote", "false", "true", "2", `"2" is neither true nor false; write true or false`},
	{"log.level", "info", "debug", "warning", `"warning" is not a choice, did you mean warn?; use one of debug, info, warn, error`},
	{"log.format", "", "json", "text", `"text" is not a choice; use one of "", json, console`},
	{"log.access", "errors", "all", "error", `"error" is not a choice, did you mean errors?; use one of off, errors, all`},
	{"log.starts", "false", "true", "maybe", `"maybe" is neither true nor false; write true or false`},
	{"log.progress", "0s", "1m", "25h", "25h is out of range; write a duration from 0s to 24h"},
}

// The table has every key, in their order, and their defaults.
func TestTheKeysAndTheirDefaults(t *testing.T) {
	all := leaves(new(Config).keys())
	require.Len(t, all, len(keyCases))
	setDefaults(all)
	for i, k := range all {
		c := keyCases[i]
		require.Equal(t, c.path, k.path)
		if k.many {
			require.Empty(t, c.def, k.path)
			require.Empty(t, k.field.texts(), k.path)
			continue
		}
		require.Equal(t, []string{c.def}, k.field.texts(), k.path)
	}
}

// inFile is a file of one line in which the key has the value, and which is complete otherwise.
func inFile(t *testing.T, path, value string) string {
	t.Helper()
	type entry = map[string]any
	front := entry{"address": ":443"} // for the first upstream
	file := entry{
		"listeners": []any{front, entry{"address": ":444", "upstream": "b"}},
		"upstreams": []any{entry{"name": "a", "address": "a.example:443"}, entry{"name": "b", "address": "b.example:443"}},
	}
	switch {
	case path == "listen" || path == "upstream" || path == "warm":
		file = entry{"upstream": "a.example:443"}
	case strings.Contains(path, ".routes[]."):
		front["routes"] = []any{entry{"sni": []string{"a.example"}, "upstream": "a"}}
	case strings.HasSuffix(path, "allow_vpce"):
		front["accept_proxy"] = "required"
	}
	at, steps := file, strings.Split(path, ".")
	for _, step := range steps[:len(steps)-1] {
		name, inList := strings.CutSuffix(step, "[]")
		if inList {
			at = at[name].([]any)[0].(entry)
			continue
		}
		at[name] = entry{}
		at = at[name].(entry)
	}
	leaf := steps[len(steps)-1]
	if at[leaf] = value; keyAt(t, path).many {
		at[leaf] = []string{value}
	}
	text, err := json.Marshal(file) // JSON is YAML
	require.NoError(t, err)
	return string(text)
}

// keyAt is the key of that path.
func keyAt(t *testing.T, path string) *key {
	t.Helper()
	all := leaves(new(Config).keys())
	i := slices.IndexFunc(all, func(k *key) bool { return k.path == path })
	require.GreaterOrEqual(t, i, 0, path)
	return all[i]
}

// effective is the value of a key, of the first entries where it is in lists.
func effective(t *testing.T, c *Config, path string) []string {
	t.Helper()
	keys := c.keys()
	for {
		first, rest, inList := strings.Cut(path, "[].")
		if !inList {
			for _, k := range leaves(keys) {
				if k.path == path || strings.HasSuffix(k.path, "[]."+path) {
					return k.field.texts()
				}
			}
			t.Fatalf("no key %s", path)
		}
		k := find(keys, first)
		require.NotZero(t, k.entries.size(), path)
		keys, path = place(k.entries.entry(0), "", false), rest
	}
}

// A file sets each key, and a bad value of each is reported with file, line, key, what is wrong and what is allowed.
func TestEveryKeyInAFile(t *testing.T) {
	for _, c := range keyCases {
		text := inFile(t, c.path, c.good)
		path := write(t, text)
		l, said := try(t, "--config", path)
		require.False(t, l.Faults.Bad(), "%s\n%s", text, said)
		if !keyAt(t, c.path).short { // those have a test of their own
			require.Equal(t, []string{c.good}, effective(t, &l.Config, c.path), text)
		}

		path = write(t, inFile(t, c.path, c.bad))
		l, said = try(t, "--config", path)
		require.True(t, l.Faults.Bad(), c.path)
		at := strings.ReplaceAll(c.path, "[]", "[0]")
		require.Contains(t, said, path+":1: "+at, c.path)
		require.Contains(t, said, c.says, c.path)
		require.Equal(t, 1, strings.Count(said, "\n"), "one fault: %s", said)
	}
}

// Each key that is in no list has a variable, or two, and some have a flag. Flag wins over variable, variable over file,
// file over default; and each of them is named when its value is bad, even where another wins.
func TestPrecedenceOfEveryKey(t *testing.T) {
	byPath := map[string]keyCase{}
	for _, c := range keyCases {
		byPath[c.path] = c
	}
	for _, k := range settable(new(Config).keys()) {
		if k.short {
			continue
		}
		c := byPath[k.path]
		t.Run(k.path, func(t *testing.T) {
			file := write(t, inFile(t, k.path, c.good))
			other := otherThan(k, c)
			for _, name := range k.variables() {
				t.Setenv(name, other)
				l, said := try(t, "--config", file)
				require.False(t, l.Faults.Bad(), said)
				require.Equal(t, other, strings.Join(effective(t, &l.Config, k.path), ","), "%s wins over the file", name)
				t.Setenv(name, c.bad)
				_, said = try(t, "--config", file)
				if k.path != "keepalive.idle" { // its bad value is so beside the kernel's only
					require.Contains(t, said, "l4fwd: "+name+": "+c.says)
				}
				t.Setenv(name, "")
			}
			if k.flag == "" {
				return
			}
			t.Setenv(k.variables()[0], c.good)
			l, said := try(t, "--config", file, "--"+k.flag, other)
			require.False(t, l.Faults.Bad(), said)
			require.Equal(t, other, strings.Join(effective(t, &l.Config, k.path), ","), "the flag wins over the variable")
			_, said = try(t, "--config", file, "--"+k.flag, c.bad)
			require.Contains(t, said, "l4fwd: flag --"+k.flag+": "+c.says)
			_, said = try(t, "--config", write(t, inFile(t, k.path, c.bad)), "--"+k.flag, c.good)
			require.Contains(t, said, ":1: "+k.path, "a fault of the file is reported, although the flag wins")
		})
	}
}

// otherThan is a value of the key beside c.good.
func otherThan(k *key, c keyCase) string {
	switch {
	case k.path == "dns.servers":
		return "10.0.0.3:53,10.0.0.4:53"
	case k.path == "eip.pool":
		return "tag-key:c"
	case k.path == "log.format":
		return "console"
	}
	return c.def
}

func TestFlagsAndVariablesOfTheInterface(t *testing.T) {
	flags := map[string]string{
		"upstream": "upstream", "listen": "listen", "health.address": "health", "admin.address": "admin", "loops": "loops", "engine": "engine",
		"dns.servers": "dns-server", "eip.pool": "eip-pool", "warm": "warm", "drain.timeout": "drain-timeout", "log.level": "log-level", "log.format": "log-format",
	}
	for _, k := range settable(new(Config).keys()) {
		require.Equal(t, flags[k.path], k.flag, k.path)
		require.Equal(t, "L4FWD_"+strings.ToUpper(strings.ReplaceAll(k.path, ".", "_")), k.variables()[0])
	}
}
