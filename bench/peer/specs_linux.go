package peer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
)

// DirectSpec is no proxy: the load talks to the origin.
func DirectSpec() Spec { return Spec{Name: Direct, Version: "no proxy"} }

// L4fwd is the relay this repository is about, with one of its engines. binary may be empty, with why telling the reason.
func L4fwd(binary, engine, why string) Spec {
	return l4fwd(Spec{Name: "l4fwd-" + engine}, binary, engine, why, func(i Instance) ([]string, error) {
		return []string{"--upstream", i.Upstream.String(), "--listen", i.Listen.String()}, nil
	})
}

// l4fwd completes a spec of it by a command: serve, with the flags that args makes.
func l4fwd(s Spec, binary, engine, why string, args func(i Instance) ([]string, error)) Spec {
	s.endSignal = syscall.SIGKILL
	if binary == "" {
		s.Missing = why
		return s
	}
	s.Version = firstLine(binary, "version")
	s.command = func(i Instance) (*exec.Cmd, error) {
		more, err0 := args(i)
		health, err1 := freeAddr(localhost)
		if err := errors.Join(err0, err1); err != nil {
			return nil, err
		}
		cmd := exec.Command(binary, append([]string{"serve", "--health", health.String(), "--admin", adminSocket(i.Dir),
			"--engine", engine, "--log-level", "warn"}, more...)...)
		cmd.Env = withoutOwn(os.Environ())
		return cmd, nil
	}
	return s
}

// withoutOwn leaves out the variables l4fwd would take for configuration.
func withoutOwn(env []string) (kept []string) {
	for _, e := range env {
		if !strings.HasPrefix(e, "L4FWD_") {
			kept = append(kept, e)
		}
	}
	return kept
}

// haproxyConfig is HAProxy at its best for this job: one thread a core, no logs, no checks. maxpipes is bounded because
// its default, a quarter of maxconn, does not fit beside 9,000 connections into 20,000 fds.
const haproxyConfig = `global
	nbthread %d
	maxconn %d
	maxpipes 256
defaults
	mode tcp
	timeout connect 5s
	timeout client 1h
	timeout server 1h
%slisten relay
	bind %s
	server origin %s
`

// HAProxy is HAProxy, splicing or not.
func HAProxy(splice bool) Spec {
	if splice {
		return haproxy("haproxy-splice", "\toption splice-request\n\toption splice-response\n")
	}
	return haproxy("haproxy-plain", "")
}

// haproxyConf is the path of an instance's configuration, which it writes.
func haproxyConf(i Instance, options string) (string, error) {
	conf := fmt.Sprintf(haproxyConfig, i.Cores, (i.Files-700)/2, options, i.Listen, i.Upstream)
	file := filepath.Join(i.Dir, "haproxy.cfg")
	return file, os.WriteFile(file, []byte(conf), 0o600)
}

// haproxy is HAProxy with more lines in its section defaults.
func haproxy(name, options string) Spec {
	s := Spec{Name: name, endSignal: syscall.SIGKILL}
	path, ok := find("haproxy")
	if !ok {
		s.Missing = "apt-get install haproxy"
		return s
	}
	s.Version = firstLine(path, "-v")
	s.command = func(i Instance) (*exec.Cmd, error) {
		file, err := haproxyConf(i, options)
		return exec.Command(path, "-db", "-f", file), err
	}
	return s
}

const nginxConfig = `%sdaemon off;
worker_processes %d;
worker_rlimit_nofile %d;
pid %s/nginx.pid;
error_log %s/error.log crit;
events { worker_connections %d; }
stream {
	access_log off;
	server {
		listen %s reuseport;
		proxy_pass %s;
		proxy_connect_timeout 5s;
		proxy_timeout 1h;
	}
}
`

// streamModules is where distributions put nginx's stream module; none of them means it is built in, or missing.
var streamModules = []string{
	"/usr/lib/nginx/modules/ngx_stream_module.so",
	"/usr/lib64/nginx/modules/ngx_stream_module.so",
	"/usr/share/nginx/modules/ngx_stream_module.so",
}

// Nginx is nginx's stream module.
func Nginx() Spec { return nginx("nginx", "") }

// nginx is nginx with more lines at the head of its configuration.
func nginx(name, lines string) Spec {
	// SIGTERM: a master that is killed leaves its workers behind.
	s := Spec{Name: name, endSignal: syscall.SIGTERM}
	path, ok := find("nginx")
	if !ok {
		s.Missing = "apt-get install nginx libnginx-mod-stream"
		return s
	}
	var module string
	for _, m := range streamModules {
		if info, err := os.Stat(m); err == nil && info.Size() > 0 && module == "" {
			module = "load_module " + m + ";\n"
		}
	}
	s.Version = firstLine(path, "-v")
	s.command = func(i Instance) (*exec.Cmd, error) {
		conf := fmt.Sprintf(nginxConfig, module+lines, i.Cores, i.Files, i.Dir, i.Dir, i.Files-100, i.Listen, i.Upstream)
		file := filepath.Join(i.Dir, "nginx.conf")
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			return nil, err
		}
		return exec.Command(path, "-p", i.Dir, "-e", filepath.Join(i.Dir, "error.log"), "-c", file), nil
	}
	return s
}

// IOCopy is a plain Go relay, in self's own binary: run with args and the two addresses.
func IOCopy(self string, env []string, files int) Spec {
	return Spec{
		// io.Copy between sockets holds a pipe each way: 6 fds a connection.
		Name: "go-iocopy", Version: runtime.Version(), MaxConns: (files - 200) / 6, endSignal: syscall.SIGKILL,
		command: func(i Instance) (*exec.Cmd, error) {
			cmd := exec.Command(self, i.Listen.String(), i.Upstream.String())
			cmd.Env = append(os.Environ(), env...)
			return cmd, nil
		},
	}
}

// Custom is any relay, as NAME=COMMAND with {listen} and {upstream} in it; the command is split at blanks, without a shell.
func Custom(arg string) (Spec, error) {
	name, command, ok := strings.Cut(arg, "=")
	if !ok || name == "" || !strings.Contains(command, "{listen}") || !strings.Contains(command, "{upstream}") {
		return Spec{}, fmt.Errorf("parse -peer %q: want 'name=command with {listen} and {upstream}'", arg)
	}
	s := Spec{Name: name, Version: command, endSignal: syscall.SIGKILL}
	s.command = func(i Instance) (*exec.Cmd, error) {
		health, err1 := freeAddr(localhost)
		admin, err2 := freeAddr(localhost)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		r := strings.NewReplacer("{listen}", i.Listen.String(), "{upstream}", i.Upstream.String(),
			"{health}", health.String(), "{admin}", admin.String())
		words := strings.Fields(command)
		for k := range words {
			words[k] = r.Replace(words[k])
		}
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Env = withoutOwn(os.Environ())
		return cmd, nil
	}
	return s, nil
}

// find looks into sbin, too, which is often not in an ordinary user's PATH.
func find(name string) (string, bool) {
	for _, p := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path, true
		}
	}
	return "", false
}

var space = regexp.MustCompile(`\s+`)

// firstLine is the first line a program prints, on either output.
func firstLine(path string, args ...string) string {
	out, _ := exec.Command(path, args...).CombinedOutput()
	line, _, _ := strings.Cut(string(out), "\n")
	return space.ReplaceAllString(strings.TrimSpace(line), " ")
}
