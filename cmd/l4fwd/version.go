package main

import (
	"crypto/fips140"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
)

// Set by the linker: -X main.version=… -X main.commit=….
var (
	version = ""
	commit  = ""
)

// thisBuild takes what the linker did not set from the information the Go tool embeds.
func thisBuild() metrics.Build {
	b := metrics.Build{Version: version, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok && fips140.Enabled() {
		b.FIPS140 = fipsModule(info.Settings)
	}
	if ok && b.Version == "" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	if ok && b.Commit == "" {
		b.Commit = embeddedCommit(info.Settings)
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}

// fipsModule is what GOFIPS140 was at the build. Without it GODEBUG=fips140=on takes the module of the Go version itself, which has no certificate.
func fipsModule(settings []debug.BuildSetting) string {
	for _, s := range settings {
		if s.Key == "GOFIPS140" {
			return s.Value
		}
	}
	return "of " + runtime.Version()
}

// embeddedCommit is the commit that the Go tool has noted, with a mark if the tree was modified; empty if there is none.
func embeddedCommit(settings []debug.BuildSetting) string {
	revision, modified := "", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "-modified"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + modified
}

// versionText is the build as the verb version prints it.
func versionText(b metrics.Build) string {
	text := fmt.Sprintf("l4fwd %s\ncommit %s\n%s\n%s\n", b.Version, b.Commit, b.Go, b.Platform)
	if b.FIPS140 != "" {
		text += "FIPS 140-3 module " + b.FIPS140 + "\n"
	}
	return text
}

// printVersion prints the build in a format that checkOutput has seen.
func printVersion(cmd *cobra.Command, output string) error {
	text := versionText(thisBuild())
	if output == "json" {
		b, err := json.Marshal(thisBuild())
		if err != nil {
			return failure(err)
		}
		text = string(b) + "\n"
	}
	return printed(cmd, []byte(text))
}

// newVersion is the verb version.
func newVersion() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit, Go version, platform and FIPS module",
		Example: "  l4fwd version\n  l4fwd version --output json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			return printVersion(cmd, output)
		},
	}
	config.AddFileFlag(cmd.Flags())
	addOutputFlag(cmd.Flags(), &output)
	return cmd
}
