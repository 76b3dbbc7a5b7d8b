package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/l4fwd/l4fwd/bench/peer"
	"github.com/l4fwd/l4fwd/bench/report"
)

// entry is a relay of the run, with its long-lived process and an origin's address of its own: relays do not share the
// ports that their upstream connections leave in TIME_WAIT.
type entry struct {
	spec     peer.Spec
	upstream netip.AddrPort
	proxy    *peer.Proxy
}

// portable is the engine for other systems than Linux: what SNI routing costs it is not judged.
const portable = "portable"

// specs is the peers asked for, the repository's own first and direct last.
func (b *bench) specs() (specs []peer.Spec, cleanup func(), err error) {
	cleanup = func() {}
	self, err := os.Executable()
	if err != nil {
		return nil, cleanup, fmt.Errorf("find own binary: %w", err)
	}
	var why string
	if b.wants("l4fwd") && b.binary == "" {
		var dir string
		if dir, err = os.MkdirTemp("", "l4bench-"); err != nil {
			return nil, cleanup, fmt.Errorf("build l4fwd: %w", err)
		}
		cleanup = func() { os.RemoveAll(dir) }
		b.binary, why = build(b.ctx, dir)
	}
	for _, engine := range b.engines {
		specs = append(specs, peer.L4fwd(b.binary, engine, why))
	}
	for _, engine := range b.engines {
		if engine != portable {
			specs = append(specs, peer.L4fwdSNI(b.binary, engine, why))
		}
	}
	for _, engine := range b.engines {
		if engine != portable {
			specs = append(specs, peer.L4fwdLog(b.binary, engine, why))
		}
	}
	for _, engine := range b.engines {
		if engine != portable {
			specs = append(specs, peer.L4fwdUpgrade(b.binary, engine, why))
		}
	}
	specs = append(specs, peer.L4fwdWarm(b.binary, why), peer.HAProxyLog())
	for _, bounded := range []bool{false, true} {
		specs = append(specs, peer.HAProxyReload(bounded), peer.NginxReload(bounded))
	}
	specs = append(specs, peer.HAProxy(true), peer.HAProxy(false), peer.Nginx(),
		peer.IOCopy(self, []string{roleEnv + "=iocopy"}, b.files), peer.DirectSpec())
	specs = slices.DeleteFunc(specs, func(s peer.Spec) bool { return !b.wants(s.Name) })
	specs = append(slices.Clone(b.extra), specs...)
	if len(specs) == 0 {
		return nil, cleanup, errors.New("choose peers: none is left")
	}
	return specs, cleanup, b.checkJudged(specs)
}

// checkJudged finds a misspelt -judge before the run; that a peer of the default is not there is no error.
func (b *bench) checkJudged(specs []peer.Spec) error {
	for _, judged := range b.judged {
		if b.judgeGiven && !slices.ContainsFunc(specs, func(s peer.Spec) bool { return s.Name == judged }) {
			return fmt.Errorf("choose peers: -judge %s is none of them", judged)
		}
	}
	return nil
}

// wants reports whether -peers names this peer, or what it begins with.
func (o *options) wants(name string) bool {
	for _, p := range o.peers {
		if strings.HasPrefix(name, p) || strings.HasPrefix(p, name) {
			return true
		}
	}
	return len(o.peers) == 0
}

// central reports whether the verdicts are about this peer, or whether it was asked for by name. The others are there to
// compare with and get fewer windows.
func (o *options) central(name string) bool {
	return len(o.peers) > 0 || strings.HasPrefix(name, "haproxy") || slices.Contains(o.judged, name) ||
		slices.ContainsFunc(o.extra, func(s peer.Spec) bool { return s.Name == name })
}

// build builds l4fwd into dir; where that fails, why says so.
func build(ctx context.Context, dir string) (binary, why string) {
	binary = filepath.Join(dir, "l4fwd")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/l4fwd/l4fwd/cmd/l4fwd").CombinedOutput()
	if err != nil {
		return "", fmt.Sprintf("build ./cmd/l4fwd: %v: %s", err, strings.TrimSpace(string(out)))
	}
	return binary, ""
}

// start starts the origin and every peer that can be, in the network of this part of the run; the others are reported as
// missing from it.
func (b *bench) start(specs []peer.Spec) error {
	var err error
	specs = slices.DeleteFunc(slices.Clone(specs), func(s peer.Spec) bool { return !b.plays(s, b.net.Name) })
	c, ready, err := startOrigin(b.ctx, b.net.origin, b.net.role, b.net.upstreams(specs))
	if err != nil {
		return err
	}
	b.origin, b.entries = c, nil
	for i, s := range specs {
		if s.Missing != "" {
			b.lacks(s.Name, s.Missing)
			continue
		}
		e := entry{spec: s, upstream: ready.Addrs[i]}
		if e.proxy, err = peer.Start(b.ctx, s, b.net.site(e.upstream, b.files)); err != nil {
			b.lacks(s.Name, err.Error())
			continue
		}
		b.entries = append(b.entries, e)
	}
	if len(b.entries) == 0 {
		return errors.New("no peer runs")
	}
	return nil
}

// without notes that a network takes no part in the run.
func (b *bench) without(network string, err error) {
	b.report.Lacks(network, "", err.Error())
	fmt.Printf("missing: %s: %v\n", network, err)
}

// lacks notes that a peer takes no part in this part of the run.
func (b *bench) lacks(name, why string) {
	if b.ctx.Err() != nil {
		return
	}
	why = strings.TrimPrefix(why, "start "+name+": ")
	b.report.Lacks(name, b.net.Name, why)
	fmt.Printf("missing: %s\n", report.Missing{What: name, Over: []string{b.net.Name}, Why: why})
}

func (b *bench) stop() {
	for _, e := range b.entries {
		e.proxy.Stop()
	}
	if b.origin != nil {
		b.origin.stop()
	}
	b.origin, b.entries = nil, nil
}
