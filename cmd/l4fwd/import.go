package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	haproxycfg "github.com/l4fwd/l4fwd/cmd/l4fwd/internal/haproxy"
)

// newImport is the verb import.
func newImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "import",
		Short:   "Make a configuration from that of another program",
		Example: "  l4fwd import haproxy /etc/haproxy/haproxy.cfg > l4fwd.yaml",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage(errors.New("import: name the program: l4fwd import haproxy FILE"))
		},
	}
	config.AddFileFlag(cmd.Flags())
	cmd.AddCommand(newImportHAProxy())
	return cmd
}

// newImportHAProxy is the verb import haproxy.
func newImportHAProxy() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "haproxy FILE",
		Short: "Print the configuration that does what a haproxy.cfg does",
		Long: "Reads a haproxy.cfg and prints the configuration that does the same, which passes l4fwd check. On stderr stands a\n" +
			"line for each directive that was changed or dropped, with file, line and reason. warning: marks those that change\n" +
			"neither routing nor access nor timeouts. Environment variables that the file uses are taken from the environment.\n" +
			"Exit status: 0 all that matters was carried, 1 a line changes routing, access or timeouts, 2 the file cannot be\n" +
			"read, or its syntax or names are not valid in HAProxy.",
		Example: "  l4fwd import haproxy /etc/haproxy/haproxy.cfg > l4fwd.yaml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(errors.New("import haproxy: name one file: l4fwd import haproxy FILE"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return importHAProxy(cmd, args[0]) },
	}
	config.AddFileFlag(cmd.Flags())
	return cmd
}

// importHAProxy prints the configuration and the remarks.
func importHAProxy(cmd *cobra.Command, path string) error {
	text, err := readImported(path)
	if err != nil {
		return usage(err)
	}
	r, err := haproxycfg.Import(haproxycfg.Options{File: path, Text: text, Lookup: os.LookupEnv, Read: readImported, Server: badServer})
	if err != nil {
		return usage(err)
	}
	for _, m := range r.Remarks {
		fmt.Fprintln(cmd.ErrOrStderr(), m)
	}
	if r.YAML == nil {
		return failure(fmt.Errorf("%s: nothing in it accepts clients in mode tcp and leads to a server that l4fwd can connect to: "+
			"no configuration is printed", path))
	}
	if faults := config.CheckText("the result", r.YAML); faults.Bad() {
		faults.Print(cmd.ErrOrStderr())
		return failure(fmt.Errorf("%s: the configuration would have the faults above: none is printed", path))
	}
	if err := printed(cmd, r.YAML); err != nil {
		return err
	}
	if r.Matters() {
		return silent(exitFailure)
	}
	return nil
}

// badServer says what is wrong with the address of an upstream; "": nothing.
func badServer(address string) string {
	if _, err := config.ParseHostPort(address); err != nil {
		return err.Error()
	}
	return ""
}

// maxImported bounds what is read of a file, in bytes.
const maxImported = 16 << 20

// readImported reads a haproxy.cfg, or a file that it names.
func readImported(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !(info.Mode()&os.ModeNamedPipe != 0 && path == "/dev/stdin") {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxImported+1))
	if err == nil && len(text) > maxImported {
		err = fmt.Errorf("%s is larger than 16 MiB", path)
	}
	return text, err
}
