package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/systemd"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/upgrade"
	"github.com/l4fwd/l4fwd/proxy/handoff"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// The names of the parts of the state.
const (
	partCloud    = "cloud"    // the place in AWS
	partProxy    = "proxy"    // names, addresses and the rate
	partSockets  = "sockets"  // which listeners have a socket of the service manager
	partCounters = "counters" // final ones
	partLost     = "lost"     // how many lines of the log were
	partUpgrades = "upgrades" // how many upgrades went how
	partServing  = "serving"  // whether the old process has a usable upstream
	partStore    = "store"    // names in the service manager's store
	partEvents   = "events"   // the latest events of the API
	partHistory  = "history"  // the charts of the status page
	partLevel    = "level"    // of the log
)

// upgradeAt is called at each message of an upgrade: see handoff.Channel. Tests fail there.
var upgradeAt func(sent bool, k handoff.Kind) error

// A restart by systemd is a stop and a start, and SIGUSR1 (RestartKillSignal=) tells it from a stop. The process that is stopped leaves its
// connections in the store for descriptors, and the one that is started takes them over. The listening sockets are in
// the store all the time, for the process that follows one that died.

// inherit finds out what this process takes over: from a process that runs, or from what one that is gone has left in the store.
func (d *daemon) inherit() error {
	var err error
	if d.passed, err = systemd.Inherit(); err != nil {
		d.passed = &systemd.Passed{}
		return err
	}
	var kept []upgrade.Kept
	var names []string
	for _, s := range d.passed.Stored {
		kept = append(kept, upgrade.Kept(s))
		names = append(names, s.Name)
	}
	if d.from == nil {
		d.from = upgrade.Unpack(kept, d.log.Logger)
	}
	if err := d.from.Greet(thisBuild().Version, upgradeAt); err != nil {
		return err
	}
	if part := d.from.Part(partStore); part != nil && !d.from.Late() {
		if err := json.Unmarshal(part, &names); err != nil {
			return err
		}
	}
	d.keeper = upgrade.NewKeeper(d.notify, d.log.Logger, names)
	return nil
}

// keepSockets has the service manager keep the listening sockets there are now.
func (d *daemon) keepSockets() {
	if !d.notify.Managed() {
		return
	}
	all, closeFiles, err := d.listening()
	defer closeFiles()
	if err != nil {
		d.log.Debug("the listening sockets are not kept for the process after this one", zap.Error(err))
		d.keeper.Drop()
		return
	}
	d.keeper.Keep(&handoff.State{Build: thisBuild().Version, PID: os.Getpid(), Sockets: all})
}

// readyTime is how long a new process may take to find the usable upstream that the old one has. Tests are in more of a hurry.
var readyTime = 10 * time.Second

// takeOver takes the connections of the old process, and lets the loops run.
func (d *daemon) takeOver() error {
	if d.from == nil {
		return nil
	}
	frozen := d.fwd.Adopted()
	defer letGo(frozen)
	heir := &newSide{Frozen: frozen, counters: d.fwd.TakeCounters}
	err := d.asUsableAsBefore()
	if err == nil {
		err = d.from.TakeOver(heir)
	}
	if err != nil {
		frozen.Release() // whatever was taken is the old process's
		return err
	}
	frozen.Begin(heir.final.NextID)
	if !d.from.Late() {
		d.began = time.Now()
	}
	if part := d.from.Part(partUpgrades); part != nil {
		_ = json.Unmarshal(part, &d.counts) // no figure is worth an upgrade
	}
	d.tookOver(heir)
	d.recall(&heir.final)
	d.from.RemoveUnused()
	d.from.Close()
	return nil
}

// tookOver notes and logs what was taken over.
func (d *daemon) tookOver(heir *newSide) {
	build, pid := d.from.From()
	if err := d.from.Lost(); err != nil {
		d.log.Error("not all that the process before this one left could be taken over", zap.Error(err))
	}
	if d.from.Late() && heir.final.Still == 0 {
		d.log.Info("took over the listening sockets of a process that died", zap.Int("from", pid), zap.String("version", build))
		return
	}
	d.taken = &admin.TakenState{At: inSeconds(time.Now()), PID: pid, Version: build, Connections: heir.taken}
	if heir.final.Still != 0 {
		d.counts.Pause = time.Duration(handoff.Now() - heir.final.Still)
		d.taken.Pause = d.counts.Pause.Seconds()
	}
	d.log.Info("took over", zap.Int("from", pid), zap.String("version", build), zap.Int("connections", heir.taken),
		zap.Duration("pause", d.counts.Pause))
}

// asUsableAsBefore waits until an upstream is usable, if one was in the old process. Nothing is worth waiting for if that is gone.
func (d *daemon) asUsableAsBefore() (err error) {
	var serving bool
	if d.from.Late() {
		return nil
	}
	if part := d.from.Part(partServing); part == nil || json.Unmarshal(part, &serving) != nil || !serving {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), readyTime)
	defer cancel()
	for ctx.Err() == nil {
		if err = d.fwd.UpstreamsReady(); err == nil {
			return nil
		}
		sleep(ctx, 20*time.Millisecond)
	}
	return fmt.Errorf("the new process found no usable upstream within %s, and the running one has one: %w", readyTime, err)
}

// newSide is the daemon as upgrade.Heir.
type newSide struct {
	*relay.Frozen
	counters func(json.RawMessage) error
	taken    int
	final    handoff.Final
}

// Take: see upgrade.Heir.
func (n *newSide) Take(c *handoff.Conn) error {
	err := n.Frozen.Take(c)
	if err == nil {
		n.taken++
	}
	return err
}

// Settle: see upgrade.Heir.
func (n *newSide) Settle(f *handoff.Final) error {
	n.final = *f
	return errors.Join(n.counters(f.Parts[partCounters]), n.Taken())
}

// remember adds what an operator sees to the parts of the state: the level of the log, the events and the history.
func (d *daemon) remember(parts map[string]handoff.Part) (err error) {
	if parts[partLevel], err = json.Marshal(d.LogLevel()); err != nil {
		return err
	}
	if parts[partEvents], err = d.events.Save(); err != nil {
		return err
	}
	parts[partHistory], err = d.rates.Save()
	return err
}

// figures are the counters as they are at the end of this process.
func (d *daemon) figures() (parts map[string]handoff.Part, err error) {
	parts = map[string]handoff.Part{}
	if parts[partCounters], err = d.fwd.SaveCounters(); err != nil {
		return nil, err
	}
	parts[partLost], err = json.Marshal(d.log.Dropped())
	return parts, err
}

// recall takes back what remember added in the process before this one, and how many lines it has lost. What cannot be read is logged: no chart is worth a connection.
func (d *daemon) recall(final *handoff.Final) {
	if part := final.Parts[partLost]; part != nil {
		var n uint64
		d.doubt(json.Unmarshal(part, &n))
		d.log.DroppedBefore(n)
	}
	if part := d.from.Part(partEvents); part != nil {
		d.doubt(d.events.Take(part))
	}
	var l admin.LogLevel
	if part := d.from.Part(partLevel); part != nil {
		d.doubt(json.Unmarshal(part, &l))
	}
	left := time.Until(l.Until.Add(d.from.Jump()))
	if l.Level == l.Configured || !slices.Contains(admin.LogLevels, l.Level) || !l.Until.IsZero() && left <= 0 {
		return
	}
	if l.Until.IsZero() {
		left = 0 // until a reload
	}
	d.SetLogLevel(l.Level, left)
}

// letGo is deferred while the relay stands still. A panic would not end the process otherwise: what is deferred for the end waits for
// the relay.
func letGo(frozen interface{ Release() }) {
	if why := recover(); why != nil {
		frozen.Release()
		panic(why)
	}
}

// doubt logs an error about what an operator sees of the process before this one.
func (d *daemon) doubt(err error) {
	if err != nil {
		d.log.Warn("something of the process before this one is forgotten", zap.Error(err))
	}
}
