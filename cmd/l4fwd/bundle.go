package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/bundle"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/doctor"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/logging"
)

// scrapesApart is how far the two scrapes of a bundle are apart; 0: its own 5 s. Tests are in more of a hurry.
var scrapesApart time.Duration

// bundleFlags are the flags of the verb bundle beside those of serve.
type bundleFlags struct {
	file string
	full bool
}

// newBundle is the verb bundle.
func newBundle() *cobra.Command {
	f := &bundleFlags{}
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Collect what a support case needs into one archive",
		Long: "Writes a .tar.gz with version, configuration, state, connections, metrics (twice, 5 s apart), the last lines of the\n" +
			"log, goroutines and heap of the running daemon, kernel, limits, sysctls, the systemd unit and the report of doctor.\n" +
			"Without a daemon it has the rest. What looks like a credential is removed, and the addresses of clients are masked;\n" +
			"look into the archive before you pass it on. manifest.json in it lists the files, and what could not be had. It takes\n" +
			"a minute at most. Only you can read the file, and one that exists is not overwritten. Exit status: 0 the archive is\n" +
			"written, 1 it is not, 2 bad flags.",
		Example: "  l4fwd bundle\n" +
			"  l4fwd bundle --config /etc/l4fwd/l4fwd.yaml -o case-4711.tar.gz\n" +
			"  kubectl exec my-pod -- /l4fwd bundle -o - > bundle.tar.gz",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags())
	cmd.Flags().StringVarP(&f.file, "output", "o", "", "Write to `FILE`; - is the standard output. Default: l4fwd-bundle-HOST-TIME.tar.gz here.")
	cmd.Flags().BoolVar(&f.full, "full", false, "Do not mask the addresses of clients.")
	return cmd
}

// run writes the archive and prints what is not in it.
func (f *bundleFlags) run(cmd *cobra.Command) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	host, _ := os.Hostname() // a name without one is good enough
	host = cmp.Or(host, "unknown")
	path := cmp.Or(f.file, bundle.Name(host, time.Now())+".tar.gz")
	out, err := f.create(cmd, path)
	if err != nil {
		return failure(err)
	}
	stderr := cmd.ErrOrStderr()
	fmt.Fprintln(stderr, "collecting; this takes a minute at most")
	m, err := bundle.Write(ctx, out, f.options(cmd, host))
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		if path != "-" {
			_ = os.Remove(path) // half an archive is of no use; it is ours, since it was not there before
		}
		if ctx.Err() != nil {
			err = errors.New("interrupted; nothing was written")
		}
		return failure(fmt.Errorf("bundle: %w", err))
	}
	m.Summary(stderr)
	if path != "-" {
		fmt.Fprintln(cmd.OutOrStdout(), path)
	}
	return nil
}

// create opens the file that the archive goes to, which must not be there yet.
func (f *bundleFlags) create(cmd *cobra.Command, path string) (io.WriteCloser, error) {
	if path == "-" {
		if file, ok := cmd.OutOrStdout().(*os.File); ok && logging.IsTerminal(file) {
			return nil, errors.New("bundle: an archive is not written to a terminal; name a file with -o")
		}
		return unclosed{cmd.OutOrStdout()}, nil
	}
	file, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("bundle: %s exists and is not overwritten; name another file with -o", path)
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: %w; name a file in another directory with -o", err)
	}
	return file, nil
}

// unclosed keeps the standard output open.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

// options are what is asked of the daemon, and the parts that other rooms make.
func (f *bundleFlags) options(cmd *cobra.Command, host string) bundle.Options {
	l := config.Load(cmd.Flags())
	o := bundle.Options{Version: thisBuild().Version, Host: host, Full: f.full, Apart: scrapesApart, Parts: []bundle.Part{
		{Name: "version.txt", About: "this binary, which may not be the daemon's", Get: func(_ context.Context, out io.Writer) error {
			_, err := io.WriteString(out, thisBuild().Text()+"\n"+modules())
			return err
		}},
		{Name: "config.yaml", About: "the configuration as flags, environment and file of this command give it", Get: func(_ context.Context, out io.Writer) error {
			return writeConfig(out, l)
		}},
	}}
	ask, err := adminClient(cmd)
	if err != nil {
		o.AskErr = noAdminAddress(cmd)
	} else {
		o.Ask = ask.Open
		o.PID = func(context.Context) int { s, _, _ := ask.State(); return s.PID }
	}
	o.Parts = append(o.Parts, bundle.Part{Name: "doctor.json", About: "the report of l4fwd doctor", Time: 35 * time.Second, Get: func(ctx context.Context, out io.Writer) error {
		return writeDiagnosis(ctx, out, l, ask)
	}})
	return o
}

// noAdminAddress is the error of everything that a daemon is asked for, if there is no address to ask.
func noAdminAddress(cmd *cobra.Command) error {
	if flag := cmd.Flag("admin"); flag.Changed {
		return fmt.Errorf("--admin %q is no address to ask: write IP:PORT or unix:PATH", flag.Value)
	}
	return errors.New("there is no admin address to ask; name it with --admin")
}

// modules are the versions that this binary was built of.
func modules() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	return info.String()
}

// writeConfig writes the configuration, or its faults.
func writeConfig(out io.Writer, l *config.Loaded) error {
	for _, fault := range l.Faults.Sorted() {
		if _, err := fmt.Fprintf(out, "# %s\n", strings.ReplaceAll(fault.Error(), "\n", "\n# ")); err != nil {
			return err
		}
	}
	if l.Faults.Bad() {
		return errors.New("the configuration has faults")
	}
	text, err := config.Render(l.Config)
	if err == nil {
		_, err = out.Write(text)
	}
	return err
}

// writeDiagnosis writes doctor's report, about the configuration of this command or, if that has faults, the daemon's.
func writeDiagnosis(ctx context.Context, out io.Writer, l *config.Loaded, ask *admin.Client) error {
	about := ""
	if l.Faults.Bad() && ask != nil {
		if running, err := runningConfig(ctx, ask); err == nil {
			l, about = running, runningInstead
		}
	}
	if l.Faults.Bad() {
		return errors.New("the configuration has faults, see config.yaml, and no daemon could be asked for its own, see status.json")
	}
	o := diagnosisOf(l)
	o.Configuration = about
	report := doctor.Run(ctx, o)
	return report.WriteJSON(out)
}

// runningInstead is what a report says that is about another configuration than the one asked for.
const runningInstead = "that of the running daemon, since the one of this command has faults"

// runningConfig is the configuration of the daemon.
func runningConfig(ctx context.Context, ask *admin.Client) (*config.Loaded, error) {
	body, err := ask.Open(ctx, "/api/v1/config")
	if err != nil {
		return nil, err
	}
	defer body.Close()
	file, err := os.CreateTemp("", "l4fwd-bundle-*.yaml") // of mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	_, err = io.Copy(file, io.LimitReader(body, 1<<20))
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.AddFileFlag(fs)
	if err := fs.Set("config", file.Name()); err != nil {
		return nil, err
	}
	return config.Load(fs), nil
}
