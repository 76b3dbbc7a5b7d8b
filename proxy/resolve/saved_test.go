package resolve

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// The next process begins with the last good answer of the one before, and keeps it while its own lookups fail. A name that never had
// an answer has nothing to pass on, and no name gets the answer of another.
func TestAnswersPassToTheNextProcess(t *testing.T) {
	t.Parallel()
	s := serve(t, rrs(t, "a.b.test. 20 A 192.0.2.1", "a.b.test. 30 AAAA 2001:db8::1", "c.test. 20 TXT x").answer)
	old, looked := confOf(t, "search b.test\n", s)
	old.mustWatch(t, "A")
	require.NoError(t, looked.next(t).Err)
	old.mustWatch(t, "c.test")
	require.Error(t, looked.next(t).Err)
	text, err := json.Marshal(old.Save())
	require.NoError(t, err)
	var saved []Saved
	require.NoError(t, json.Unmarshal(text, &saved))
	require.Len(t, saved, 1)
	require.WithinDuration(t, time.Now(), saved[0].Answered, time.Minute)
	require.Equal(t, Saved{Name: "A", V4: addrs("192.0.2.1"), V6: addrs("2001:db8::1"), Source: "a.b.test.", Answered: saved[0].Answered,
		TTL: 20 * time.Second}, saved[0])

	next, looked := confOf(t, "search b.test\n", serve(t, rcode(dns.RcodeServerFailure)))
	next.opts.Saved = append(saved, Saved{Name: "empty"})
	told := make(chan []netip.Addr, 1)
	n, err := next.Watch("a", func(a []netip.Addr) { told <- a })
	require.NoError(t, err)
	require.Equal(t, addrs("192.0.2.1", "2001:db8::1"), <-told, "before any lookup has ended")
	require.Equal(t, ServFail, looked.next(t).Result)
	require.Equal(t, addrs("192.0.2.1", "2001:db8::1"), n.Addrs())
	require.True(t, saved[0].Answered.Equal(n.Stats().Answered), "as old as it is")
	require.Nil(t, next.mustWatch(t, "other").Addrs())
	require.Nil(t, next.mustWatch(t, "empty").Addrs())
	require.Len(t, next.Save(), 1)
}

// A name that is watched anew begins with the answer of the watch before it, and not with that of another name.
func TestAnotherNameIsNotInherited(t *testing.T) {
	t.Parallel()
	r, looked := confOf(t, "", serve(t, rrs(t, "a.test. 20 A 192.0.2.1").answer))
	r.mustWatch(t, "a.test")
	require.NoError(t, looked.next(t).Err)
	require.Equal(t, addrs("192.0.2.1"), r.mustWatch(t, "A.test").Addrs())
	require.Nil(t, r.mustWatch(t, "b.test").Addrs())
}
