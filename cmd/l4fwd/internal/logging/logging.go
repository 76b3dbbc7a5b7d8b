// Package logging writes the daemon's events and access lines, one line each, without ever making the caller wait.
package logging

import (
	"io"
	"log"
	"os"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Options say what is logged, and how. The zero value logs JSON at level info to nowhere.
type Options struct {
	Level    string    // the least severe level of events: debug, info, warn or error; anything else is info
	Format   string    // json, console, or empty for console on a terminal and json elsewhere
	Out      io.Writer // where lines go; nil discards them
	Terminal bool      // Out is a terminal
	Color    bool      // lines of the format console have colours

	Beside zapcore.Core // sees the events too, whatever the level; may be nil
}

// Log is the daemon's log. Its loggers may be used from any goroutine, also after Close.
type Log struct {
	*zap.Logger             // events, filtered by the level
	Access      *zap.Logger // the access log, message "access" at level info; the level does not filter it

	level zap.AtomicLevel
	json  bool
	color bool
	spell spell
	w     *writer

	before atomic.Uint64 // lines that were lost by the process before this one
}

// New returns a log that Close must end.
func New(o Options) *Log {
	if o.Out == nil {
		o.Out = io.Discard
	}
	l := &Log{level: zap.NewAtomicLevel(), json: o.Format == "json" || o.Format == "" && !o.Terminal, color: o.Color}
	l.SetLevel(o.Level)
	l.w = newWriter(o.Out, l.lossLine)
	core := zapcore.NewCore(l.encoder(), l.w, l.level)
	if o.Beside != nil {
		core = zapcore.NewTee(core, o.Beside)
	}
	l.Logger = zap.New(core)
	l.Access = zap.New(zapcore.NewCore(l.encoder(), l.w, zapcore.InfoLevel))
	return l
}

// SetLevel changes the least severe level of events; it ignores a text that names none.
// A level for a while ends by it.
func (l *Log) SetLevel(text string) {
	if level, err := zapcore.ParseLevel(text); err == nil {
		l.spell.set(func() { l.level.SetLevel(level) }, 0, nil)
	}
}

// JSON reports whether lines are JSON, rather than text for people.
func (l *Log) JSON() bool { return l.json }

// Dropped is how many lines were lost: the buffer was full, or they could not be written. Those of DroppedBefore are among them.
func (l *Log) Dropped() uint64 { return l.before.Load() + l.w.Dropped() }

// DroppedBefore adds the lines that the process before this one has lost. It is called once.
func (l *Log) DroppedBefore(lines uint64) { l.before.Store(lines) }

// Recent returns the last lines, whole ones: at most 1,000 and 256 KiB. Lines that could not be written are among them.
func (l *Log) Recent() []byte { return l.w.Recent() }

// Close writes the lines that wait, for at most limit. It takes no more lines.
func (l *Log) Close(limit time.Duration) { l.w.Close(limit) }

// timeLayout is how lines write a time.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// encoder makes lines with the fields ts, level, msg and those of the message.
func (l *Log) encoder() zapcore.Encoder {
	if !l.json {
		return newConsole(l.color)
	}
	return zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		TimeKey: "ts", LevelKey: "level", NameKey: "logger", MessageKey: "msg",
		EncodeTime:     zapcore.TimeEncoderOfLayout(timeLayout),
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
	})
}

// lossLine is the line that reports how many lines were lost, and why the last of them.
func (l *Log) lossLine(lines uint64, why string) []byte {
	entry := zapcore.Entry{Level: zapcore.ErrorLevel, Time: time.Now(), Message: "log lines were lost"}
	line, err := l.encoder().EncodeEntry(entry, []zapcore.Field{zap.Uint64("lines", lines), zap.String("because", why)})
	if err != nil {
		return nil // neither encoder fails on these fields
	}
	return line.Bytes()
}

// IsTerminal reports whether f is a terminal or another character device, rather than a file, a pipe or a socket.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// Color reports whether text to f is to have colours: f is a terminal that shows them, and the user has not refused them by
// NO_COLOR, see https://no-color.org.
func Color(f *os.File) bool {
	return IsTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Std returns a logger for an HTTP server's complaints. They are about its callers' mistakes, so the level is debug.
func Std(l *zap.Logger) *log.Logger {
	std, err := zap.NewStdLogAt(l, zapcore.DebugLevel)
	if err != nil {
		return log.New(io.Discard, "", 0) // only for a level that zap does not know
	}
	return std
}
