package relay

import (
	"errors"
	"fmt"
)

// EngineFor returns the engine that a name of Options.Engine stands for on this system, for DefaultLoops.
func EngineFor(want string) (string, error) {
	kind, _, err := ExplainEngine(want, DefaultLoops())
	return kind, err
}

// ExplainEngine returns the engine that a name of Options.Engine stands for with that many loops, and why. The error says why that one cannot run here.
func ExplainEngine(want string, loops int) (kind, reason string, err error) {
	switch want {
	case "", "auto":
		if !epollSupported {
			return "portable", "auto: no other engine on this system", nil
		}
		if err := provenUring(loops); err != nil {
			return "epoll", "auto: not uring: " + err.Error(), nil
		}
		return "uring", "auto: the fastest engine, and this kernel and sandbox allow it", nil
	case "uring":
		if err := probeUring(loops); err != nil {
			return "", "", &EngineError{"uring", err}
		}
		return "uring", "asked for", nil
	case "epoll":
		if !epollSupported {
			return "", "", &EngineError{"epoll", errors.New("it needs Linux")}
		}
		return "epoll", "asked for", nil
	case "portable":
		return "portable", "asked for", nil
	}
	return "", "", fmt.Errorf("start relay: unknown engine %q: use auto, uring, epoll or portable", want)
}

// EngineError says why the engine that was asked for by name cannot be used here.
type EngineError struct {
	Engine string // uring or epoll
	Err    error
}

func (e *EngineError) Error() string {
	return fmt.Sprintf("start relay: engine %s: %v", e.Engine, e.Err)
}

func (e *EngineError) Unwrap() error { return e.Err }

// startEngine starts the engine of a kind that ExplainEngine returned.
func startEngine(kind string, o Options) (engine, error) {
	switch kind {
	case "portable":
		return startPortable(o)
	case "uring":
		return startUring(o)
	}
	return startEpoll(o)
}
