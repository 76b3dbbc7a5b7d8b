package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// accessLine is one connection as the access log has it.
type accessLine map[string]any

// accessOrder is the order in which the documentation lists the fields.
var accessOrder = []string{"ts", "id", "listener", "upstream", "client", "vpce", "sni", "upstream_addr", "local_addr",
	"reason", "bytes_up", "bytes_down", "connect_ms", "first_byte_ms", "duration_ms", "attempts"}

// parseAccess parses an access line, and reports false for every other line of the log.
func parseAccess(line string) (accessLine, bool) {
	if !strings.HasPrefix(line, "{") {
		return nil, false
	}
	d := json.NewDecoder(strings.NewReader(line))
	d.UseNumber() // as written, not as a float would have it
	var a accessLine
	if d.Decode(&a) != nil {
		return nil, false
	}
	for _, field := range []string{"client", "reason", "bytes_up", "bytes_down"} {
		if _, ok := a[field]; !ok {
			return nil, false
		}
	}
	return a, true
}

// accessLine waits for the line of the connection that came from client.
func (s *stack) accessLine(ctx context.Context, client string) (accessLine, error) {
	timeout := time.After(s.patience)
	for {
		select {
		case a := <-s.child.access:
			if a.text("client") == client {
				return a, nil
			}
		case <-timeout:
			return nil, fmt.Errorf("no access line for the connection from %s within %s", client, s.patience)
		case <-s.child.exited:
			return nil, fmt.Errorf("l4fwd ended by itself: %s", s.child.state())
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// check compares the line with what the client knows of its connection.
func (a accessLine) check(received int64) error {
	if r := a.text("reason"); r != "client_closed" && r != "upstream_closed" {
		return fmt.Errorf("the connection ended as %q, not in good order", r)
	}
	// The client may have hung up on the last few bytes, a TLS alert; it cannot have got more than was sent.
	if down := a.number("bytes_down"); down < received {
		return fmt.Errorf("the access log counts %d bytes down, the client received %d", down, received)
	}
	if a.number("bytes_up") <= 0 {
		return fmt.Errorf("the access log counts no bytes up")
	}
	return nil
}

// text is a field as it is written, "" where there is none.
func (a accessLine) text(field string) string {
	if v, ok := a[field]; ok && v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// number is a field as an integer, -1 where it is none.
func (a accessLine) number(field string) int64 {
	n, ok := a[field].(json.Number)
	if !ok {
		return -1
	}
	i, err := n.Int64()
	if err != nil {
		return -1
	}
	return i
}

// fields are the names in the documentation's order, then what is beyond it by name.
func (a accessLine) fields() []string {
	var names []string
	for _, name := range accessOrder {
		if _, ok := a[name]; ok {
			names = append(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if !slices.Contains(accessOrder, name) {
			names = append(names, name)
		}
	}
	return names
}
