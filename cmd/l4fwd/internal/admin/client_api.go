package admin

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/l4fwd/l4fwd/proxy"
)

// Conns lists connections.
func (c *Client) Conns(q ConnQuery) (list ConnList, err error) {
	err = c.Call(http.MethodGet, connsPath(q), &list)
	return list, err
}

// ConnsJSON is Conns for who needs the daemon's own JSON alone, which spares most of the work.
func (c *Client) ConnsJSON(q ConnQuery) (json.RawMessage, error) {
	raw, err := c.fetch(http.MethodGet, connsPath(q), nil)
	if err == nil && !json.Valid(raw) {
		return nil, c.foreign("")
	}
	return raw, err
}

// connsPath is where the connections that q asks for are listed.
func connsPath(q ConnQuery) string {
	path := "/api/v1/conns"
	if v := q.Values(); len(v) > 0 {
		path += "?" + v.Encode()
	}
	return path
}

// CloseConn ends the connection with an id.
func (c *Client) CloseConn(id uint64) error {
	return c.Post("/api/v1/conns/close", closeRequest{id}, new(json.RawMessage))
}

// Addresses lists the addresses of an upstream, or of all if it is empty; raw is the daemon's own JSON.
func (c *Client) Addresses(upstream string) (list AddressList, raw json.RawMessage, err error) {
	path := "/api/v1/addresses"
	if upstream != "" {
		path += "?upstream=" + url.QueryEscape(upstream)
	}
	raw, err = c.send(http.MethodGet, path, nil, &list)
	return list, raw, err
}

// Eject takes an address out of use for d; 0: until Restore.
func (c *Client) Eject(upstream string, addr netip.AddrPort, d time.Duration) (out proxy.Ejection, err error) {
	err = c.Post("/api/v1/addresses/eject", addressRequest{upstream, addr, duration(d)}, &out)
	return out, err
}

// Restore ends Eject.
func (c *Client) Restore(upstream string, addr netip.AddrPort) (out proxy.Ejection, err error) {
	err = c.Post("/api/v1/addresses/restore", addressRequest{Upstream: upstream, Address: addr}, &out)
	return out, err
}

// LogLevel returns the level of the log.
func (c *Client) LogLevel() (out LogLevel, err error) {
	err = c.Call(http.MethodGet, "/api/v1/log-level", &out)
	return out, err
}

// SetLogLevel changes the level of the log for d; 0: until a reload.
func (c *Client) SetLogLevel(level string, d time.Duration) (out LogLevel, err error) {
	err = c.Post("/api/v1/log-level", levelRequest{level, duration(d)}, &out)
	return out, err
}

// Events returns the latest events, the oldest first.
func (c *Client) Events() (out EventList, err error) {
	err = c.Call(http.MethodGet, "/api/v1/events", &out)
	return out, err
}
