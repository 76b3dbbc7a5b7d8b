// Command standin runs the stand-in for Azure OpenAI by itself, for tests by hand and soaks:
//
//	standin -listen 127.0.0.1:9443 -ca-out ca.pem
//	standin -deny -allow 10.0.0.5/32
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/bench/standin"
)

func main() {
	err := run(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

// errUsage is a fault of the command line, which package flag has printed already.
var errUsage = errors.New("usage")

// run serves until SIGINT or SIGTERM.
func run(args []string) error {
	opts, caOut, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	s, err := standin.Start(opts)
	if err != nil {
		return err
	}
	if caOut != "" {
		if err := os.WriteFile(caOut, s.CAPEM(), 0o644); err != nil {
			return errors.Join(err, s.Close())
		}
	}
	describe(s.Addr(), opts, caOut)
	<-ctx.Done()
	stats := s.Stats()
	fmt.Printf("%d requests (%d denied), %d streams, %d cut short, %d tokens\n",
		stats.Requests, stats.Denied, stats.Streams, stats.Aborted, stats.Tokens)
	return s.Close()
}

// parse reads the flags.
func parse(args []string) (standin.Options, string, error) {
	opts := standin.Options{}
	fs := flag.NewFlagSet("standin", flag.ContinueOnError)
	fs.StringVar(&opts.Listen, "listen", "127.0.0.1:8443", "`address` to listen on; port 0 picks a free one")
	caOut := fs.String("ca-out", "", "write the certificate authority to `file`, for curl --cacert")
	fs.StringVar(&opts.Key, "key", standin.DefaultKey, "the one valid `key`, as api-key or bearer token")
	fs.BoolVar(&opts.Deny, "deny", false, "firewall on: answer 403 to each source that -allow does not hold")
	fs.Func("allow", "with -deny, admit this `CIDR` or address; repeatable, commas allowed", func(s string) error {
		return parseAllow(s, &opts.Allow)
	})
	fs.Func("answer", "how requests are answered: `service`, 404, 429, 500, redirect, large, stalled or http/1.0", func(s string) error {
		opts.Answer = standin.Answer(s)
		return nil
	})
	fs.Func("fault", "what is wrong below HTTP: `other-name`, expired, self-signed, re-signed, split-hello, reset or silent", func(s string) error {
		opts.Fault = standin.Fault(s)
		return nil
	})
	fs.DurationVar(&opts.Clock, "clock", 0, "how far, as a `duration`, the server's clock is ahead: Date and certificates")
	fs.Func("denial", "how a blocked source is refused: `firewall`, disabled (public access) or perimeter", func(s string) error {
		opts.Denial = standin.Denial(s)
		return nil
	})
	fs.Func("deployments", "comma-separated `names` that exist (default "+standin.DefaultDeployment+")", func(s string) error {
		opts.Deployments = strings.Split(s, ",")
		return nil
	})
	pace := fs.Duration("pace", standin.DefaultPace, "mean `time` between two tokens of a stream; 0 for none")
	fs.IntVar(&opts.Tokens, "tokens", 0, "length of an answer in `tokens`; 0: the text once")
	verbose := fs.Bool("v", false, "log broken connections to stderr")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return opts, "", err
		}
		return opts, "", errUsage
	}
	if fs.NArg() > 0 {
		return opts, "", fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	opts.Pace = paceOption(*pace)
	if *verbose {
		opts.ErrorLog = log.New(os.Stderr, "standin: ", log.LstdFlags)
	}
	return opts, *caOut, nil
}

// paceOption maps the flag's 0, no pause, to the library's, where 0 is the default.
func paceOption(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// parseAllow adds the sources in s, which may be written like Azure's rules: plain addresses, too.
func parseAllow(s string, to *[]netip.Prefix) error {
	for field := range strings.SplitSeq(s, ",") {
		if addr, err := netip.ParseAddr(field); err == nil {
			*to = append(*to, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(field)
		if err != nil {
			return err
		}
		*to = append(*to, prefix)
	}
	return nil
}

// describe prints where it listens and how to talk to it.
func describe(addr netip.AddrPort, opts standin.Options, caOut string) {
	fmt.Printf("stand-in for Azure OpenAI on %s, until Ctrl-C\n", addr)
	trust := "--insecure"
	if caOut != "" {
		trust = "--cacert " + caOut
	}
	deployment := standin.DefaultDeployment
	if len(opts.Deployments) > 0 {
		deployment = opts.Deployments[0]
	}
	fmt.Printf(`
curl -N %s --connect-to %s:443:%s \
  -H 'api-key: %s' -H 'content-type: application/json' \
  -d '{"model":"%s","messages":[{"role":"user","content":"Hello"}],"stream":true}' \
  'https://%s/openai/v1/chat/completions'
`, trust, standin.Name, addr, opts.Key, deployment, standin.Name)
}
