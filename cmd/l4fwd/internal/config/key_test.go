package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// toy is a small configuration of every kind of key.
type toy struct {
	Name    string
	Count   int
	On      bool
	Pause   time.Duration
	Bytes   int64
	Kind    Balance
	Names   []string
	Inner   struct{ Depth int }
	Entries []toyEntry
}

type toyEntry struct{ Size int }

func (e *toyEntry) keys() []*key {
	return []*key{number("size", &e.Size, 4, 1, 9, "A size.").mandatory()}
}

func (c *toy) keys() []*key {
	return place([]*key{
		value("name", &c.Name, parseName, asText[string], "A name."),
		number("count", &c.Count, 2, 0, 9, "A count.").withFlag("many", "N"),
		truth("on", &c.On, true, "Whether."),
		duration("pause", &c.Pause, "5s", "1s", "1m", "A pause.").fixed(),
		size("bytes", &c.Bytes, "1KiB", "A size."),
		choice("kind", &c.Kind, First, "A kind.", LeastConn, First),
		values("names", &c.Names, parseName, asText[string], "Names."),
		section("inner", []*key{number("depth", &c.Inner.Depth, 3, 0, 5, "A depth.")}).fixed(),
		sections("entries", &c.Entries, (*toyEntry).keys, "Entries."),
	}, "", false)
}

func TestKeysAreBoundToTheirFields(t *testing.T) {
	var c toy
	keys := c.keys()
	setDefaults(keys)
	require.Equal(t, toy{Count: 2, On: true, Pause: 5 * time.Second, Bytes: 1024, Kind: First, Inner: struct{ Depth int }{3}}, c)

	for name, text := range map[string]string{"name": "n", "count": "7", "on": "false", "pause": "1m", "bytes": "3", "kind": "least_conn"} {
		require.NoError(t, find(keys, name).field.set(text))
		require.NoError(t, find(keys, name).field.check(text))
	}
	require.NoError(t, find(keys, "names").field.set("a"))
	require.NoError(t, find(keys, "names").field.set("b"))
	require.NoError(t, find(keys, "inner").keys[0].field.set("5"))
	require.Equal(t, toy{"n", 7, false, time.Minute, 3, LeastConn, []string{"a", "b"}, struct{ Depth int }{5}, nil}, c)

	for name, text := range map[string]string{"name": "", "count": "10", "on": "perhaps", "pause": "2m", "bytes": "x", "kind": "round_robin", "names": " "} {
		require.Error(t, find(keys, name).field.check(text), name)
		require.Error(t, find(keys, name).field.set(text), name)
	}
	require.Equal(t, toy{"n", 7, false, time.Minute, 3, LeastConn, []string{"a", "b"}, struct{ Depth int }{5}, nil}, c, "a bad text changes nothing")
	find(keys, "names").field.clear()
	require.Nil(t, c.Names)
	find(keys, "name").field.clear()
	require.Equal(t, "n", c.Name, "only lists are emptied")
}

func TestEntriesGrowWithTheirDefaults(t *testing.T) {
	var c toy
	e := find(c.keys(), "entries").entries
	require.NoError(t, e.grow()[0].field.set("9"))
	e.grow()
	require.Equal(t, []toyEntry{{9}, {4}}, c.Entries)
	require.Equal(t, 2, e.size())
	require.Equal(t, []string{"9"}, e.entry(0)[0].field.texts())
	require.NoError(t, e.entry(0)[0].field.set("1"))
	require.Equal(t, []toyEntry{{1}, {4}}, c.Entries)
}

func TestWhatIsKnownOfAKey(t *testing.T) {
	keys := new(toy).keys()
	paths := []string{}
	for _, k := range leaves(keys) {
		paths = append(paths, k.path)
	}
	require.Equal(t, "name count on pause bytes kind names inner.depth entries[].size", strings.Join(paths, " "))
	require.Equal(t, []string{"name", "count", "on", "pause", "bytes", "kind", "names", "inner", "entries"}, names(keys))
	require.Nil(t, find(keys, "nothing"))

	settableNames := []string{}
	for _, k := range settable(keys) {
		settableNames = append(settableNames, k.path)
	}
	require.Equal(t, "name count on pause bytes kind names inner.depth", strings.Join(settableNames, " "))
	require.Equal(t, []string{"L4FWD_COUNT", "L4FWD_MANY"}, find(keys, "count").variables())
	require.Equal(t, []string{"L4FWD_INNER_DEPTH"}, find(keys, "inner").keys[0].variables())

	require.True(t, find(keys, "inner").isSection())
	require.Nil(t, find(keys, "inner").slot())
	require.True(t, find(keys, "entries").isSections())
	require.NotNil(t, find(keys, "entries").slot())
	require.False(t, find(keys, "name").isSection() || find(keys, "name").isSections())
	require.True(t, find(keys, "inner").keys[0].restart, "what holds for a section holds for its keys")
	require.False(t, find(keys, "count").restart)

	require.Equal(t, "`0` to `9`", find(keys, "count").allowed)
	require.Equal(t, "`1s` to `1m`", find(keys, "pause").allowed)
	require.Equal(t, "`least_conn`, `first`", find(keys, "kind").allowed)
	require.True(t, find(keys, "name").texts && find(keys, "kind").texts)
	require.False(t, find(keys, "count").texts || find(keys, "on").texts || find(keys, "pause").texts || find(keys, "bytes").texts)
}

func TestValuesAreComparedAndTaken(t *testing.T) {
	a, b := toy{Name: "a", Names: []string{"x"}, Entries: []toyEntry{{1}}}, toy{Name: "b", Names: []string{"x"}, Entries: []toyEntry{{2}}}
	differ := []string{}
	inParallel(a.keys(), b.keys(), func(x, y *key) {
		if !x.slot().equal(y.slot()) {
			differ = append(differ, x.path)
			x.slot().take(y.slot())
		}
	})
	require.Equal(t, []string{"name", "entries"}, differ)
	require.Equal(t, b, a)
}

func TestTheCellsOfTheReference(t *testing.T) {
	keys := new(toy).keys()
	require.Equal(t, "–", defaultText(find(keys, "name")))
	require.Equal(t, "`2`", defaultText(find(keys, "count")))
	require.Equal(t, "required", defaultText(find(keys, "entries").keys[0]))
	require.Equal(t, "`--many` `L4FWD_COUNT` `L4FWD_MANY`", sourcesText(find(keys, "count")))
	require.Equal(t, "–", sourcesText(find(keys, "entries")))
	require.Equal(t, "–", sourcesText(find(keys, "entries").keys[0]))
	require.Equal(t, []string{"`pause`", "`inner`"}, restartKeys(keys))
	require.Equal(t, "A kind. One of least_conn, first. Default: first.", explain(find(keys, "kind")))
	require.Equal(t, "A name.", explain(find(keys, "name")))
	require.Empty(t, explain(find(keys, "inner")))
}
