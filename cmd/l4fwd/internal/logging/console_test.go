package logging

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// consoleLine is the line of a message without its time.
func consoleLine(t *testing.T, colour bool, write func(*zap.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	log := New(Options{Level: "debug", Format: "console", Color: colour, Out: &out})
	write(log.Logger)
	log.Close(30 * time.Second)
	_, rest, ok := strings.Cut(out.String(), "  ")
	require.True(t, ok, out.String())
	return rest
}

// On a terminal the fields were a JSON object with a dozen empty ones.
func TestTheConsoleHasKeysAndValuesAndNothingEmpty(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	line := consoleLine(t, false, func(l *zap.Logger) {
		l.With(zap.String("b", "kept"), zap.Int("a", 1)).Warn("a limit refuses clients",
			zap.String("reason", "limit_source"), zap.String("sni", ""), zap.Int("bytes_up", 0), zap.Duration("took", 1500*time.Millisecond),
			zap.Error(errors.New("connect: refused")), zap.Error(nil), zap.Strings("keys", []string{"x", "y z"}), zap.Strings("none", nil),
			zap.Time("at", at), zap.Time("never", time.Time{}), zap.Bool("ok", false), zap.Any("of", map[string]int{"one": 1}))
	})
	require.Equal(t, `WARN   a limit refuses clients  a=1 b=kept reason=limit_source bytes_up=0 took=1.5s error="connect: refused" keys=x,"y z" `+
		`at=2026-01-02T03:04:05.000Z ok=false of=map[one:1]`+"\n", line)
}

// A client chooses its SNI, and a terminal obeys control characters.
func TestTheConsoleWritesNoControlCharacterOfAPeer(t *testing.T) {
	line := consoleLine(t, false, func(l *zap.Logger) {
		l.Info("one\ntwo", zap.String("sni", "\x1b]0;owned\x07"), zap.String("forged", "x\n2026 ERROR y"), zap.String("pair", "a=b"), zap.String("quote", `"`), zap.Strings("list", []string{"\x1b[2J"}))
	})
	require.Equal(t, `INFO   "one\ntwo"  sni="\x1b]0;owned\a" forged="x\n2026 ERROR y" pair="a=b" quote="\"" list="\x1b[2J"`+"\n", line)
}

func TestColoursFollowTheLevel(t *testing.T) {
	for level, colour := range map[string]string{"debug": cyan, "info": "", "warn": yellow, "error": red} {
		write := func(l *zap.Logger) {
			at, err := zap.ParseAtomicLevel(level)
			require.NoError(t, err)
			l.Log(at.Level(), "said", zap.Int("n", 1))
		}
		line := consoleLine(t, true, write)
		require.Equal(t, colour != "", strings.Contains(line, colour+"said"+plain), "%q", line)
		require.Contains(t, line, dim+"n="+plain+"1\n")
		require.NotContains(t, consoleLine(t, false, write), "\x1b")
	}
}

func TestNoColorIsHonoured(t *testing.T) {
	null, err := os.Open(os.DevNull) // a character device, as a terminal is
	require.NoError(t, err)
	defer null.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	require.True(t, Color(null))
	t.Setenv("NO_COLOR", "1")
	require.False(t, Color(null))
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "dumb")
	require.False(t, Color(null))
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	t.Setenv("TERM", "xterm")
	require.False(t, Color(file))
}
