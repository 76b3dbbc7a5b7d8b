// Package top shows the running daemon in a terminal, refreshed in place: the headline, the addresses of the upstreams, and
// the connections. It is handed a Daemon and knows nothing of how that is reached.
package top

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
)

// Daemon is what top shows and acts on. Its methods may take seconds, and are called from goroutines of top's.
type Daemon interface {
	Look(ctx context.Context, q Query) (Snapshot, error)
	Close(id uint64) error
	// Drain begins a drain; begun is false if one runs already.
	Drain() (begun bool, err error)
}

// Query says which connections to list.
type Query struct {
	Sort  string // one of Options.Sorts
	Limit int    // 0: all
}

// Snapshot is the daemon at one moment. Its texts may hold whatever a client chose.
type Snapshot struct {
	At            time.Time
	Version       string
	PID           int
	Uptime        time.Duration
	Ready         bool
	Draining      bool
	NotReady      []string // why it is not ready
	Engine        string
	PublicAddress string // the Elastic IP held; empty: none
	Active, Max   int    // open connections, and how many may be; 0: no limit
	Accepts       float64
	BytesUp, Down float64 // a second
	Busiest       float64 // of the loops, 0 to 1
	Addresses     []Address
	Conns         []Conn
	Total         int // open connections when Conns were listed
}

// Address is an address of an upstream.
type Address struct {
	Upstream, Address string
	State, Why        string
	Usable, Backup    bool
	Active            int64
}

// Conn is a live connection.
type Conn struct {
	ID                             uint64
	Client, SNI, Upstream, Address string
	State, Stalls                  string // Stalls is empty if nobody does
	Age, Idle                      time.Duration
	RateUp, RateDown               float64 // bytes a second
}

// Options say how to show a daemon.
type Options struct {
	Daemon   Daemon
	Sorts    []string      // the orders that Daemon knows; the first is where top begins
	Interval time.Duration // between two looks
	In       io.Reader
	Out      io.Writer // a terminal
}

// IsTerminal reports whether a file is a terminal, whatever its size.
func IsTerminal(f *os.File) bool { return term.IsTerminal(f.Fd()) }

// Width is how many columns the terminal behind f has; 0: f is none.
func Width(f *os.File) int {
	columns, _, err := term.GetSize(f.Fd())
	if err != nil {
		return 0
	}
	return columns
}

// Run shows the daemon until q is pressed or ctx ends. first is what has been seen already.
func Run(ctx context.Context, o Options, first Snapshot) error {
	_, err := tea.NewProgram(newModel(ctx, o, first), tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out)).Run()
	if errors.Is(err, tea.ErrInterrupted) || ctx.Err() != nil {
		return nil
	}
	return err
}
