package peer

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// GoneWithin is the time in which the bounded relays below end an old process, and its connections with it: as soon as l4fwd's is to
// be gone.
const GoneWithin = 2 * time.Second

// L4fwdUpgrade is L4fwd that is replaced by the verb upgrade.
func L4fwdUpgrade(binary, engine, why string) Spec {
	s := l4fwd(Spec{Name: "l4fwd-" + engine + "-upgrade", Variant: Renew}, binary, engine, why, func(i Instance) ([]string, error) {
		return []string{"--upstream", i.Upstream.String(), "--listen", i.Listen.String()}, nil
	})
	s.renew = func(p *Proxy) error {
		out, err := exec.Command(binary, "upgrade", "--admin", adminSocket(p.dir)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("upgrade: %w: %s", err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	return s
}

// adminSocket is in the file system, which is the same in all network namespaces.
func adminSocket(dir string) string { return "unix:" + filepath.Join(dir, "admin.sock") }

// HAProxyReload is HAProxy with a master, as distributions run it, which hands the listening sockets to a new worker. bounded: the
// old one ends within GoneWithin.
func HAProxyReload(bounded bool) Spec {
	options := ""
	if bounded {
		options = fmt.Sprintf("global\n\thard-stop-after %s\n", GoneWithin)
	}
	s := haproxy(renewName("haproxy-reload", bounded), "")
	s.Variant = Renew
	if s.Missing != "" {
		return s
	}
	path, _ := find("haproxy")
	s.endSignal = syscall.SIGTERM // the master's workers end with it
	s.command = func(i Instance) (*exec.Cmd, error) {
		file, err := haproxyConf(i, options)
		return exec.Command(path, "-W", "-f", file), err
	}
	s.renew = func(p *Proxy) error { return syscall.Kill(p.cmd.Process.Pid, syscall.SIGUSR2) }
	return s
}

// NginxReload is nginx whose master starts new workers on the same listening sockets. bounded: the old ones end within GoneWithin.
func NginxReload(bounded bool) Spec {
	lines := ""
	if bounded {
		lines = fmt.Sprintf("worker_shutdown_timeout %s;\n", GoneWithin)
	}
	s := nginx(renewName("nginx-reload", bounded), lines)
	s.Variant = Renew
	s.renew = func(p *Proxy) error { return syscall.Kill(p.cmd.Process.Pid, syscall.SIGHUP) }
	return s
}

// renewName adds the time to the name of a relay that is bounded.
func renewName(name string, bounded bool) string {
	if bounded {
		return name + "-" + GoneWithin.String()
	}
	return name
}
