package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// fakeEnv makes the test binary play l4fwd; its value is how well.
const fakeEnv = "DEMO_FAKE_L4FWD"

func TestMain(m *testing.M) {
	if behaviour := os.Getenv(fakeEnv); behaviour != "" {
		os.Exit(fake(behaviour))
	}
	goleak.VerifyTestMain(m)
}

// fakeDaemon is a relay with as much of l4fwd's interface as the demo looks at.
type fakeDaemon struct {
	behaviour string
	upstream  string
	ended     atomic.Int64
}

// fake is l4fwd's main, and returns its exit status.
func fake(behaviour string) int {
	d := &fakeDaemon{behaviour: behaviour}
	fs := flag.NewFlagSet("l4fwd", flag.ContinueOnError)
	fs.StringVar(&d.upstream, "upstream", "", "")
	listen := fs.String("listen", "", "")
	health := fs.String("health", "", "")
	fs.String("admin", "", "")
	fs.String("log-format", "", "")
	if err := fs.Parse(os.Args[2:]); err != nil || os.Args[1] != "serve" {
		return 2
	}
	if os.Getenv("L4FWD_LOG_ACCESS") != "all" || os.Getenv("L4FWD_DRAIN_LAME_DUCK") != "0s" || os.Getenv("L4FWD_STRAY") != "" {
		fmt.Fprintln(os.Stderr, "wrong environment")
		return 2
	}
	if behaviour == "dies" {
		fmt.Fprintln(os.Stderr, `{"level":"fatal","msg":"listen: address already in use"}`)
		return 1
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	ln, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go d.accept(ln)
	go http.ListenAndServe(*health, d.health())
	<-stop
	if behaviour == "fails at the end" {
		return 1
	}
	return 0
}

// health answers not ready for a moment, as a daemon at its start does.
func (d *fakeDaemon) health() http.Handler {
	began := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(began) < 100*time.Millisecond {
			http.Error(w, "upstream: no check yet", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "# TYPE l4fwd_connections_total counter\nl4fwd_eip_held 0\ngo_goroutines %d\n", d.ended.Load()+3)
		if n := d.ended.Load(); n > 0 && d.behaviour != "counts nothing" {
			fmt.Fprintf(w, "l4fwd_connections_total{listener=\"default\",upstream=\"default\",reason=\"upstream_closed\"} %d\n", n)
			fmt.Fprintf(w, "l4fwd_connect_seconds_bucket{le=\"0.1\"} %d\nl4fwd_connect_seconds_sum 0.00042\n", n)
		}
	})
	return mux
}

// accept relays, and logs each connection as it ends.
func (d *fakeDaemon) accept(ln net.Listener) {
	for id := 1; ; id++ {
		down, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			up, err := net.Dial("tcp", d.upstream)
			if err != nil || d.behaviour == "drops" {
				down.Close()
				return
			}
			var sent, received int64
			var wg sync.WaitGroup
			wg.Go(func() { sent, _ = io.Copy(up, down); up.(*net.TCPConn).CloseWrite() })
			wg.Go(func() { received, _ = io.Copy(down, up); down.(*net.TCPConn).CloseWrite() })
			wg.Wait()
			down.Close()
			up.Close()
			d.ended.Add(1)
			if d.behaviour == "loses bytes" {
				received = 7
			}
			if d.behaviour != "logs nothing" {
				fmt.Fprintf(os.Stderr, `{"level":"info","ts":"2026-01-02T03:04:05Z","msg":"connection","id":%d,"client":%q,"upstream_addr":%q,`+
					`"vpce":"","reason":"upstream_closed","bytes_up":%d,"bytes_down":%d,"connect_ms":0.2,"duration_ms":17}`+"\n",
					id, down.RemoteAddr(), d.upstream, sent, received)
			}
		}()
	}
}
