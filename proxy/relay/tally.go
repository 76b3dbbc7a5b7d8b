package relay

import "sync/atomic"

// Tally counts bytes as they are delivered, with one cell a loop, so that loops do not share a cache line.
type Tally struct{ cells []tallyCell }

type tallyCell struct {
	up, down               atomic.Uint64
	splicedUp, splicedDown atomic.Uint64
	_                      [32]byte // a cache line of its own
}

// NewTally returns a tally for loops 0 to n-1.
func NewTally(n int) *Tally { return &Tally{cells: make([]tallyCell, max(n, 1))} }

// Bytes is what a tally has counted: all delivered bytes, and how many of them went by splice(2).
type Bytes struct{ Up, Down, SplicedUp, SplicedDown uint64 }

// Sum adds up the cells.
func (t *Tally) Sum() (b Bytes) {
	for i := range t.cells {
		c := &t.cells[i]
		b.Up += c.up.Load()
		b.Down += c.down.Load()
		b.SplicedUp += c.splicedUp.Load()
		b.SplicedDown += c.splicedDown.Load()
	}
	return b
}

// Add adds what another process has counted to the first cell.
func (t *Tally) Add(b Bytes) {
	c := &t.cells[0]
	c.up.Add(b.Up)
	c.down.Add(b.Down)
	c.splicedUp.Add(b.SplicedUp)
	c.splicedDown.Add(b.SplicedDown)
}

// add counts n delivered bytes in the cell of a loop, of which spliced went through a pipe. A nil tally counts nothing.
func (t *Tally) add(loop int, up bool, n, spliced uint64) {
	if t == nil {
		return
	}
	c := &t.cells[loop]
	if up {
		c.up.Add(n)
		if spliced > 0 {
			c.splicedUp.Add(spliced)
		}
		return
	}
	c.down.Add(n)
	if spliced > 0 {
		c.splicedDown.Add(spliced)
	}
}
