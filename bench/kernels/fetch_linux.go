package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// store is where kernels are kept. Nothing is installed on the host but the emulators: the package lists for both processors are
// kept here as well, since the host's apt knows its own only.
type store struct {
	dir string
	apt []string // options
	err error    // of refreshing the lists, which happens once at most
	had bool
}

func newStore(dir string) (*store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for _, d := range []string{"apt/state/lists/partial", "apt/cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	return &store{dir: dir, apt: []string{
		"-o", "Dir::State=" + filepath.Join(dir, "apt/state"), "-o", "Dir::Cache=" + filepath.Join(dir, "apt/cache"), "-o", "Dir::State::status=/dev/null",
		"-o", "APT::Architectures::=amd64", "-o", "APT::Architectures::=arm64", "-o", "Acquire::Languages=none",
		"-o", "APT::Sandbox::User=root", "-q",
	}}, nil
}

// kernel returns the file of the newest kernel that Debian has of the machine's series, from the store if it is there.
func (s *store) kernel(ctx context.Context, m machine) (string, error) {
	at := filepath.Join(s.dir, m.series+"-"+m.arch, "vmlinuz")
	if _, err := os.Stat(at); err == nil {
		return at, nil
	}
	name, err := s.newest(ctx, m)
	if err != nil {
		return "", err
	}
	return at, s.download(ctx, name, m.arch, at, "boot/vmlinuz-*")
}

// busybox returns a static busybox for a processor, from the store if it is there: the shell and the commands that tests start.
func (s *store) busybox(ctx context.Context, arch string) (string, error) {
	at := filepath.Join(s.dir, "busybox-"+arch)
	if _, err := os.Stat(at); err == nil {
		return at, nil
	}
	if err := s.refresh(ctx); err != nil {
		return "", err
	}
	return at, s.download(ctx, "busybox-static", arch, at, "bin/busybox", "usr/bin/busybox")
}

// download takes the one file that a pattern matches out of a package.
func (s *store) download(ctx context.Context, name, arch, to string, patterns ...string) error {
	dir, err := os.MkdirTemp(s.dir, "package")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if out, err := s.run(ctx, dir, "apt-get", append(s.apt, "download", name+":"+arch)...); err != nil {
		return fmt.Errorf("apt-get download %s:%s: %w: %s", name, arch, err, lastLine(out))
	}
	return s.unpack(ctx, dir, to, patterns...)
}

// refresh has the package lists, asked for once.
func (s *store) refresh(ctx context.Context) error {
	if !s.had {
		s.had = true
		if out, err := s.run(ctx, s.dir, "apt-get", append(s.apt, "update")...); err != nil {
			s.err = fmt.Errorf("apt-get update: %w: %s", err, lastLine(out))
		}
	}
	return s.err
}

// newest looks for the machine's kernel package with the highest version.
func (s *store) newest(ctx context.Context, m machine) (string, error) {
	if err := s.refresh(ctx); err != nil {
		return "", err
	}
	out, err := s.run(ctx, s.dir, "apt-cache", append(s.apt, "pkgnames", "linux-image-"+m.series)...)
	if err != nil {
		return "", fmt.Errorf("apt-cache pkgnames: %w: %s", err, lastLine(out))
	}
	var names []string
	for name := range strings.FieldsSeq(out) {
		if m.kernelPackage().MatchString(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", fmt.Errorf("no package linux-image-%s…-cloud-%s-unsigned in the lists of apt: add a Debian release that has it to /etc/apt/sources.list.d", m.series, m.arch)
	}
	return slices.MaxFunc(names, byVersion), nil
}

// byVersion orders package names by the numbers in them.
func byVersion(a, b string) int {
	numbers := func(s string) (ns []int) {
		for _, f := range strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsDigit(r) }) {
			n := 0
			fmt.Sscan(f, &n)
			ns = append(ns, n)
		}
		return ns
	}
	return slices.Compare(numbers(a), numbers(b))
}

// unpack takes the one file that the patterns match out of the package that was downloaded to dir.
func (s *store) unpack(ctx context.Context, dir, to string, patterns ...string) error {
	debs, _ := filepath.Glob(filepath.Join(dir, "*.deb"))
	if len(debs) != 1 {
		return fmt.Errorf("unpack: %d packages in %s, not one", len(debs), dir)
	}
	root := filepath.Join(dir, "root")
	if out, err := s.run(ctx, dir, "dpkg-deb", "-x", debs[0], root); err != nil {
		return fmt.Errorf("dpkg-deb -x %s: %w: %s", filepath.Base(debs[0]), err, lastLine(out))
	}
	var found []string
	for _, p := range patterns {
		files, _ := filepath.Glob(filepath.Join(root, p))
		found = append(found, files...)
	}
	if len(found) != 1 {
		return fmt.Errorf("unpack: %d files %s in %s, not one", len(found), strings.Join(patterns, " or "), filepath.Base(debs[0]))
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Rename(found[0], to)
}

func (s *store) run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// install has a command installed, if it is missing and may be.
func (s *store) install(ctx context.Context, command, pkg string) error {
	if _, err := exec.LookPath(command); err == nil {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Getuid() != 0 {
		return fmt.Errorf("%s is missing: as root, apt-get install %s", command, pkg)
	}
	if out, err := s.run(ctx, s.dir, "apt-get", "-qq", "update"); err != nil {
		return fmt.Errorf("%s is missing: apt-get update: %w: %s", command, err, lastLine(out))
	}
	if out, err := s.run(ctx, s.dir, "apt-get", "-qq", "install", "-y", "--no-install-recommends", pkg); err != nil {
		return fmt.Errorf("%s is missing: apt-get install %s: %w: %s", command, pkg, err, lastLine(out))
	}
	return nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
