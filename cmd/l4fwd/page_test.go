package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/chromium"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
)

// says waits for the outcome of an action.
func says(p *chromium.Page, text string) {
	p.Until("document.getElementById('outcome').textContent.includes(" + quoted(text) + ")")
}

func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// history asks for the points of the charts.
func (p *process) history(t *testing.T) (h metrics.History) {
	resp, err := http.Get("http://" + p.admin + "/api/v1/history")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&h))
	http.DefaultClient.CloseIdleConnections()
	return h
}

// refused reports whether a new connection ends without a byte. A reset may come before connect(2) has returned.
func (p *process) refused(t *testing.T) bool {
	c, err := net.Dial("tcp", p.listen)
	if errors.Is(err, syscall.ECONNRESET) {
		return true
	}
	require.NoError(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, "x")
	n, _ := c.Read(make([]byte, 1))
	return n == 0
}

// An operator does everything that the page offers to a running daemon, in a browser.
func TestTheStatusPageActs(t *testing.T) {
	t.Parallel()
	b := chromium.Start(t)
	p := started(t, nil)
	c := p.dial(t)
	exchange(t, c)
	page := b.Open(t)
	page.Size(1280, 900, false)
	page.Go("http://" + p.admin)
	second := func() net.Conn { return p.dial(t) } // which outlives its subtest
	row := "#busiest tr:has([data-action=close])"

	t.Run("it is live", func(t *testing.T) {
		page.Until("document.title === 'l4fwd: ready'")
		page.Until("/usable.*\\d ms/.test(document.querySelector('#upstreams tbody tr').innerText)") // how long a connect took
		page.Until("document.querySelector('#busiest').textContent.includes(" + quoted(c.LocalAddr().String()) + ")")
		require.Equal(t, "1", page.Text("document.querySelectorAll("+quoted(row)+").length"))
		exchange(t, second())
		page.Until("document.querySelectorAll(" + quoted(row) + ").length === 2")
	})
	t.Run("nothing happens without confirmation", func(t *testing.T) {
		for _, button := range []string{"[data-action=close]", "[data-action=eject]", "[data-action=level]", "[data-action=drain]"} {
			page.Click(button)
			page.Until("document.getElementById('confirm').open")
			page.Press("Escape")
			page.Until("!document.getElementById('confirm').open")
			page.Click(button)
			page.Click("#confirm-no")
		}
		exchange(t, c)
		require.Empty(t, page.Text("document.getElementById('outcome').textContent"))
	})
	t.Run("a connection is closed", func(t *testing.T) {
		page.Click("#oldest [data-action=close]")
		require.Contains(t, page.Text("document.getElementById('confirm-text').textContent"), c.LocalAddr().String())
		page.Click("#confirm-yes")
		says(page, "is closed.")
		_, err := c.Read(make([]byte, 1))
		require.Error(t, err)
		page.Until("document.querySelectorAll(" + quoted(row) + ").length === 1")
		p.eventually(t, func() bool { return strings.Contains(p.log.String(), "connection closed by an operator") })
	})
	t.Run("an address is ejected and restored", func(t *testing.T) {
		page.Click("[data-action=eject]")
		page.Eval("document.getElementById('confirm-for').value = '1h'", nil)
		page.Click("#confirm-yes")
		says(page, "is ejected for 1 hour. Warning: ")
		page.Until("/ejected by operator, until \\d\\d:/.test(document.getElementById('upstreams').textContent)")
		require.True(t, p.refused(t))
		page.Click("[data-action=restore]")
		page.Click("#confirm-yes")
		says(page, "is restored.")
		exchange(t, p.dial(t))
		page.Until("document.querySelector('#events').textContent.includes('address ejected by an operator')")
	})
	t.Run("the log level", func(t *testing.T) {
		page.Eval("document.getElementById('level').value = 'debug', document.getElementById('level').dispatchEvent(new Event('change'))", nil)
		page.Click("[data-action=level]")
		page.Click("#confirm-yes")
		says(page, "The log level is debug for 15 minutes.")
		page.Until("/^debug until .*; configured: info$/.test(document.getElementById('level-now').textContent)")
	})
	t.Run("the history survives a reload", func(t *testing.T) {
		p.eventually(t, func() bool { return len(p.history(t).Points) > 0 })
		before := p.history(t)
		p.signal(t, syscall.SIGHUP)
		p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"msg":"reloaded"`) })
		after := p.history(t)
		require.Equal(t, before.Points[0], after.Points[0])
		require.NotEmpty(t, after.Ended)
		page.Go("http://" + p.admin + "/?again")
		page.Until("document.querySelector('#chart-active path.line')?.getAttribute('d').startsWith('M')")
	})
	require.Empty(t, page.Troubles())
	t.Run("the keyboard alone drains", func(t *testing.T) {
		page.Until("document.querySelector('[data-action=drain]:enabled')")
		page.Tab("[data-action=drain]")
		page.Press("Enter")
		page.Until("document.activeElement.id === 'confirm-no'")
		page.Press("Escape")
		page.Until("document.activeElement.matches('[data-action=drain]')")
		page.Press(" ")
		page.Until("document.activeElement.id === 'confirm-no'")
		page.Press("Tab")
		require.Equal(t, "confirm-yes", page.Text("document.activeElement.id"))
		page.Press("Enter")
		says(page, "The drain has begun.")
		page.Until("document.title.startsWith('l4fwd: draining')")
		p.eventually(t, func() bool {
			c, err := net.Dial("tcp", p.listen)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
	})
}
