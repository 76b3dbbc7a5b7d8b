package logging

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFormats(t *testing.T) {
	one := func(o Options) string {
		var out bytes.Buffer
		o.Out = &out
		log := New(o)
		log.Debug("hidden")
		log.Info("access", zap.String("reason", "client_closed"), zap.Duration("took", 1500*time.Millisecond))
		log.Close(time.Second)
		return out.String()
	}
	var line map[string]any
	for _, text := range []string{one(Options{Level: "info"}), one(Options{Level: "info", Format: "json", Terminal: true}), one(Options{Level: "nonsense"})} {
		require.NoError(t, json.Unmarshal([]byte(text), &line), text)
		require.Equal(t, "access", line["msg"])
		require.Equal(t, "info", line["level"])
		require.Equal(t, "1.5s", line["took"])
		require.Regexp(t, regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$`), line["ts"])
	}
	for _, text := range []string{one(Options{Level: "info", Terminal: true}), one(Options{Level: "info", Format: "console"})} {
		require.Regexp(t, `^\d{4}-\S+Z?  INFO   access  reason=client_closed took=1\.5s\n$`, text)
	}
	require.Empty(t, one(Options{Level: "error"}))
}

func TestTheLevelFiltersEventsButNotTheAccessLog(t *testing.T) {
	var out bytes.Buffer
	log := New(Options{Level: "error", Out: &out})
	log.Info("hidden")
	log.Access.Info("access")
	log.SetLevel("debug")
	log.Debug("shown")
	log.SetLevel("nonsense")
	log.Debug("still shown")
	log.Close(time.Second)
	require.NotContains(t, out.String(), "hidden")
	require.Equal(t, 3, strings.Count(out.String(), "\n"), out.String())
	require.True(t, log.JSON())
	require.Zero(t, log.Dropped())
}

func TestStdLogsAtDebug(t *testing.T) {
	var out bytes.Buffer
	log := New(Options{Level: "debug", Out: &out})
	Std(log.Logger).Print("http: bad request")
	log.Close(time.Second)
	require.Contains(t, out.String(), `"level":"debug"`)
	require.Contains(t, out.String(), "http: bad request")
}

func TestAFileIsNoTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	require.False(t, IsTerminal(f))
	require.NoError(t, f.Close())
	require.False(t, IsTerminal(f), "nor is a closed one")
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	require.True(t, IsTerminal(null))
}

func TestTheZeroOptionsDiscard(t *testing.T) {
	log := New(Options{})
	log.Error("nobody reads this")
	log.Close(time.Second)
	require.Zero(t, log.Dropped())
}

// The count of lines that were lost goes on in the process after an upgrade.
func TestLinesThatWereLostBeforeCount(t *testing.T) {
	l := New(Options{Format: "json"})
	defer l.Close(time.Second)
	l.DroppedBefore(7)
	require.EqualValues(t, 7, l.Dropped())
}
