package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// saved is the place in AWS on its way to the next process, as JSON.
type saved struct {
	Version  int               `json:"version"`
	Identity instance.Identity `json:"identity"`
	Keeper   *eip.Saved        `json:"keeper"`
	Watcher  *lifecycle.Saved  `json:"watcher,omitempty"` // nil: lifecycle.asg and lifecycle.spot were off
}

// savedVersion is the version of saved. A field may be added, and never changes its meaning.
const savedVersion = 1

// Pause waits until AWS is not being asked, and keeps it from being asked until resume is called. It returns the state for the next
// process, nil if there is none. The error says that ctx ended first, or that the instance is about to go.
func (c *Cloud) Pause(ctx context.Context) (state json.RawMessage, resume func(), err error) {
	if c.absent() {
		return nil, func() {}, nil
	}
	if c.leaving.Load() {
		return nil, nil, errors.New("the instance leaves its group")
	}
	s := saved{Version: savedVersion, Identity: c.id}
	resumeWatcher := func() {}
	if c.watcher != nil {
		// First: from now on it gives no order.
		if s.Watcher, resumeWatcher, err = c.watcher.Pause(ctx); err != nil {
			return nil, nil, err
		}
	}
	var resumeKeeper func()
	if s.Keeper, resumeKeeper, err = c.keeper.Pause(ctx); err != nil {
		resumeWatcher()
		return nil, nil, err
	}
	resume = func() {
		resumeKeeper()
		resumeWatcher()
	}
	if state, err = json.Marshal(s); err != nil {
		resume()
		return nil, nil, err
	}
	return state, resume, nil
}

// takeOver returns the Cloud that goes on where that of another process stopped. It asks nothing of AWS.
func takeOver(ctx context.Context, o Options) (*Cloud, error) {
	var s saved
	if err := json.Unmarshal(o.From, &s); err != nil {
		return nil, fmt.Errorf("read the place in AWS: %w", err)
	}
	if s.Version != savedVersion || s.Keeper == nil {
		return nil, fmt.Errorf("the state of the place in AWS has version %d, this process reads %d", s.Version, savedVersion)
	}
	s.Keeper.Move(o.Jump)
	s.Watcher.Move(o.Jump)
	aws, err := instance.LoadAs(ctx, s.Identity)
	if err != nil {
		return nil, err
	}
	c, err := New(o, s.Identity, instance.NewMetadata(aws), eip.NewClient(aws), lifecycle.NewClient(aws))
	if err != nil {
		return nil, err
	}
	if err := c.keeper.TakeOver(s.Keeper); err != nil {
		return nil, err
	}
	if c.watcher != nil && s.Watcher != nil {
		return c, c.watcher.TakeOver(s.Watcher)
	}
	return c, nil
}
