package metrics

import (
	"crypto/fips140"
	"fmt"
	"runtime"
	"runtime/debug"
)

// ThisBuild describes the program. It takes what the linker did not set from the information the Go tool embeds.
func ThisBuild(version, commit string) Build {
	b := Build{Version: version, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
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

// Text is the build as the verb version prints it.
func (b Build) Text() string {
	text := fmt.Sprintf("l4fwd %s\ncommit %s\n%s\n%s\n", b.Version, b.Commit, b.Go, b.Platform)
	if b.FIPS140 != "" {
		text += "FIPS 140-3 module " + b.FIPS140 + "\n"
	}
	return text
}
