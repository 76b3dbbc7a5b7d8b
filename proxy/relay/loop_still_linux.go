package relay

// standstill is a time in which the loops of a group stand still. Each loop waits in it until over is closed.
type standstill struct {
	still chan struct{} // a value for each loop that stands still; has room for all
	over  chan struct{}
	then  stillEnd // set before over is closed
}

// stillEnd is what the loops do after a standstill.
type stillEnd uint8

const (
	stillResume  stillEnd = iota // go on
	stillBegin                   // begin to accept
	stillRelease                 // give up all that is open, and end
)

// newStandstill returns a standstill of that many loops.
func newStandstill(loops int) *standstill {
	return &standstill{still: make(chan struct{}, loops), over: make(chan struct{})}
}

// end ends the standstill.
func (s *standstill) end(then stillEnd) {
	s.then = then
	close(s.over)
}

// ended reports whether the standstill is over.
func (s *standstill) ended() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}
