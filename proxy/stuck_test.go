package proxy

import "go.uber.org/zap/zapcore"

// stuckCore is a log whose writes wait until the gate is closed.
type stuckCore struct {
	zapcore.Core
	gate chan struct{}
}

func (c stuckCore) Enabled(zapcore.Level) bool { return true }

func (c stuckCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return ce.AddCore(e, c)
}

func (c stuckCore) Write(zapcore.Entry, []zapcore.Field) error {
	<-c.gate
	return nil
}
