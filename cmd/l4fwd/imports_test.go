package main

import (
	"encoding/json"
	"io"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/l4fwd/l4fwd/"

// mayImport says which packages of this module a package may import: imports run downwards only, the siblings proxy, eip
// and health do not know each other, and the leaves know nobody.
var mayImport = map[string][]string{
	"cmd/l4fwd": {"cmd/l4fwd/internal/admin", "cmd/l4fwd/internal/bundle", "cmd/l4fwd/internal/cloud", "cmd/l4fwd/internal/config", "cmd/l4fwd/internal/doctor", "cmd/l4fwd/internal/hangup", "cmd/l4fwd/internal/haproxy", "cmd/l4fwd/internal/logging",
		"cmd/l4fwd/internal/manual", "cmd/l4fwd/internal/metrics", "cmd/l4fwd/internal/plain", "cmd/l4fwd/internal/pool", "cmd/l4fwd/internal/ports", "cmd/l4fwd/internal/reload", "cmd/l4fwd/internal/systemd", "cmd/l4fwd/internal/top", "cmd/l4fwd/internal/upgrade",
		"proxy", "proxy/relay", "proxy/handoff", "eip", "eip/instance", "eip/lifecycle", "health", "health/probe"},
	"cmd/l4fwd/internal/admin":   {"cmd/l4fwd/internal/metrics", "cmd/l4fwd/internal/plain", "proxy", "eip", "eip/instance", "eip/lifecycle", "health"}, // types of the state
	"cmd/l4fwd/internal/bundle":  {},
	"cmd/l4fwd/internal/cloud":   {"eip", "eip/instance", "eip/lifecycle"},
	"cmd/l4fwd/internal/config":  {"proxy/preface", "eip"},
	"cmd/l4fwd/internal/doctor":  {"cmd/l4fwd/internal/plain", "eip", "eip/instance", "eip/lifecycle", "health/probe"},
	"cmd/l4fwd/internal/hangup":  {},
	"cmd/l4fwd/internal/haproxy": {"proxy/preface"},
	"cmd/l4fwd/internal/logging": {},
	"cmd/l4fwd/internal/manual":  {},
	"cmd/l4fwd/internal/metrics": {"proxy", "proxy/relay", "eip", "eip/lifecycle"},
	"cmd/l4fwd/internal/plain":   {},
	"cmd/l4fwd/internal/pool":    {"eip", "eip/lifecycle"},
	"cmd/l4fwd/internal/ports":   {"proxy", "proxy/relay"}, // their errors
	"cmd/l4fwd/internal/reload":  {},
	"cmd/l4fwd/internal/systemd": {},
	"cmd/l4fwd/internal/top":     {},
	"cmd/l4fwd/internal/upgrade": {"proxy/handoff"},
	"cmd/l4fwd/soak":             {},
	// For tests only.
	"cmd/l4fwd/internal/chromium": {},
	"proxy":                       {"proxy/relay", "proxy/preface", "proxy/resolve", "proxy/upstream", "proxy/limit", "proxy/enum", "proxy/handoff"},
	"proxy/relay":                 {"proxy/relay/ring", "proxy/handoff"},
	"proxy/relay/ring":            {},
	"proxy/preface":               {"proxy/enum"},
	"proxy/resolve":               {},
	"proxy/upstream":              {"proxy/enum"},
	"proxy/enum":                  {},
	"proxy/limit":                 {},
	"proxy/handoff":               {},
	"eip":                         {"eip/answer", "eip/instance"},
	"eip/answer":                  {},
	"eip/instance":                {},
	"eip/lifecycle":               {"eip/answer", "eip/instance"},
	"eip/sim":                     {},
	"health":                      {"health/probe", "proxy/preface"}, // the parser of PROXY headers, from bytes
	"health/probe":                {"proxy/resolve"},                 // a name is looked up as the daemon does it
	// Checks of the documents.
	"docs": {},
	// For the end-to-end check of deploy only.
	"deploy/check/cloud": {"eip/sim"},
	// Make documents of a release and of the Terraform modules.
	"deploy/release/licenses":   {},
	"deploy/release/provenance": {},
	"deploy/terraform/readme":   {},
}

// importers are the packages that may import a library.
var importers = map[string][]string{
	"github.com/spf13/cobra": {"cmd/l4fwd", "cmd/l4fwd/internal/manual"},
	"github.com/spf13/pflag": {"cmd/l4fwd", "cmd/l4fwd/internal/config", "cmd/l4fwd/internal/manual"},
	"github.com/spf13/viper": {"cmd/l4fwd/internal/config"},
	"github.com/fsnotify/":   {"cmd/l4fwd/internal/config"},
	"github.com/prometheus/": {"cmd/l4fwd/internal/metrics"},
	"github.com/coreos/":     {"cmd/l4fwd/internal/systemd"},
	"github.com/aws/":        {"eip", "eip/answer", "eip/instance", "eip/lifecycle"},
	"go.uber.org/zap": {"cmd/l4fwd", "cmd/l4fwd/internal/config", "cmd/l4fwd/internal/logging", "cmd/l4fwd/internal/systemd",
		"cmd/l4fwd/internal/admin", "cmd/l4fwd/internal/cloud", "cmd/l4fwd/internal/reload", "cmd/l4fwd/internal/upgrade", "proxy", "eip", "eip/lifecycle", "health"},
	"github.com/miekg/dns":           {"proxy/resolve", "deploy/check/cloud"},
	"golang.org/x/sys/":              {"cmd/l4fwd", "cmd/l4fwd/internal/systemd", "health", "proxy/handoff", "proxy/relay", "proxy/relay/ring"},
	"github.com/pires/go-proxyproto": {"proxy/preface"},
	"golang.org/x/crypto/":           {"proxy/preface"},
	"charm.land/":                    {"cmd/l4fwd/internal/top"},
	"github.com/charmbracelet/":      {"cmd/l4fwd/internal/top"},
	"gonum.org/":                     {},
}

// TestImportsRunDownwards keeps the architecture of docs/DESIGN.md. The bench tree is a product of its own: it may use
// what it likes of its own and nothing of the forwarder's, and the forwarder nothing of it but in tests.
func TestImportsRunDownwards(t *testing.T) {
	for pkg, imports := range moduleImports(t) {
		if strings.HasPrefix(pkg, "bench") {
			for _, i := range imports {
				if own, ok := strings.CutPrefix(i, module); ok {
					require.True(t, strings.HasPrefix(own, "bench"), "%s imports %s", pkg, i)
				}
			}
			continue
		}
		allowed, known := mayImport[pkg]
		require.True(t, known, "package %s is not in the table: decide what it may import", pkg)
		for _, i := range imports {
			if own, ok := strings.CutPrefix(i, module); ok {
				require.Contains(t, allowed, own, "%s must not import %s", pkg, own)
				continue
			}
			for library, may := range importers {
				if strings.HasPrefix(i, library) {
					require.Contains(t, may, pkg, "%s must not import %s: another package imports that library", pkg, i)
				}
			}
		}
	}
}

// The rooms of cmd/l4fwd meet in package main only. metrics has the types that admin shows, and plain is a leaf that any may use.
func TestRoomsDoNotKnowEachOther(t *testing.T) {
	const rooms, leaf = "cmd/l4fwd/internal/", "cmd/l4fwd/internal/plain"
	require.Empty(t, mayImport[leaf])
	for pkg, imports := range mayImport {
		for _, i := range imports {
			both := strings.HasPrefix(pkg, rooms) && strings.HasPrefix(i, rooms)
			require.True(t, !both || i == leaf || pkg == rooms+"admin" && i == rooms+"metrics", "%s may import %s", pkg, i)
			require.False(t, strings.HasPrefix(pkg, rooms) && i == "cmd/l4fwd", "%s points back at the daemon", pkg)
		}
	}
}

// moduleImports returns the direct imports of each package of the module, tests left out, for each system.
func moduleImports(t *testing.T) map[string][]string {
	all := map[string][]string{}
	for _, goos := range []string{"linux", "darwin"} {
		cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
		cmd.Env = append(cmd.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
		out, err := cmd.Output()
		require.NoError(t, err)
		for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
			var p struct {
				ImportPath string
				Imports    []string
			}
			err := dec.Decode(&p)
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			pkg := strings.TrimPrefix(p.ImportPath, module)
			all[pkg] = append(all[pkg], p.Imports...)
		}
	}
	require.Greater(t, len(all), 5)
	return all
}
