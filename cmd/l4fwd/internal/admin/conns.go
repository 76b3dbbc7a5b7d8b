package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
	"github.com/l4fwd/l4fwd/proxy"
)

// Conn is a row of the connections.
type Conn struct {
	proxy.Connection
	RateUp      float64 `json:"bytes_up_per_second"`
	RateDown    float64 `json:"bytes_down_per_second"`
	RateSince   string  `json:"rate_since"`   // "look": since an earlier listing; "life": since it was accepted
	RateSeconds float64 `json:"rate_seconds"` // how long that is
}

// ConnList is the answer to GET /api/v1/conns.
type ConnList struct {
	At    time.Time `json:"at"`
	Took  float64   `json:"took_ms"`         // to ask the loops and the kernel
	Held  float64   `json:"longest_hold_ms"` // that an event loop was held without a pause
	Total int       `json:"total"`           // open connections
	Found int       `json:"found"`           // of these, by the filters; more than are listed if there is a limit
	Conns []Conn    `json:"conns"`
}

// sorts are the orders of a listing: what comes first is what an operator looks for.
var sorts = map[string]func(a, b *Conn) int{
	"id":    func(a, b *Conn) int { return cmp.Compare(a.ID, b.ID) },
	"age":   func(a, b *Conn) int { return cmp.Compare(b.Age, a.Age) },
	"idle":  func(a, b *Conn) int { return cmp.Compare(b.Idle, a.Idle) },
	"rate":  func(a, b *Conn) int { return cmp.Compare(b.RateUp+b.RateDown, a.RateUp+a.RateDown) },
	"bytes": func(a, b *Conn) int { return cmp.Compare(b.BytesUp+b.BytesDown, a.BytesUp+a.BytesDown) },
	"rtt": func(a, b *Conn) int {
		return cmp.Compare(max(b.ClientLeg.RTT, b.Leg.RTT), max(a.ClientLeg.RTT, a.Leg.RTT))
	},
	"retrans": func(a, b *Conn) int {
		return cmp.Compare(b.ClientLeg.Retransmits+b.Leg.Retransmits, a.ClientLeg.Retransmits+a.Leg.Retransmits)
	},
	"stalls": func(a, b *Conn) int { return cmp.Compare(stallRank(b), stallRank(a)) },
}

// Sorts lists the orders of a listing.
func Sorts() []string {
	return []string{"id", "age", "idle", "rate", "bytes", "rtt", "retrans", "stalls"}
}

// stallRank puts connections that stall first, those that are idle for longest before the others.
func stallRank(c *Conn) float64 {
	if c.Stalls == proxy.Stalls()[0] {
		return -1
	}
	return c.Idle
}

// ConnQuery says what to list. The zero value lists all by id.
type ConnQuery struct {
	Upstream, Listener, Address, Client, SNI, State, Stalls string // empty: any. Client: an address, with or without its port

	Sort    string // one of Sorts
	Reverse bool
	Limit   int // 0: none
}

// Values is the query of an URL.
func (q ConnQuery) Values() url.Values {
	v := url.Values{}
	for name, at := range q.texts() {
		if *at != "" {
			v.Set(name, *at)
		}
	}
	if q.Reverse {
		v.Set("reverse", "true")
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// texts are the parameters that are texts, by their names in a query.
func (q *ConnQuery) texts() map[string]*string {
	return map[string]*string{
		"upstream": &q.Upstream, "listener": &q.Listener, "address": &q.Address, "client": &q.Client, "sni": &q.SNI,
		"state": &q.State, "stalls": &q.Stalls, "sort": &q.Sort,
	}
}

// parseConnQuery reads the query of an URL. A key that it does not know is an error: a filter with a typing error would list all.
func parseConnQuery(v url.Values) (q ConnQuery, err error) {
	texts := q.texts()
	for name, values := range v {
		value := values[len(values)-1]
		switch at := texts[name]; {
		case at != nil:
			*at = value
		case name == "reverse":
			q.Reverse, err = strconv.ParseBool(value)
		case name == "limit":
			q.Limit, err = strconv.Atoi(value)
			if err == nil && q.Limit < 0 {
				err = errors.New("below 0")
			}
		default:
			return q, unknownKey(name)
		}
		if err != nil {
			return q, fmt.Errorf("%s=%.40q is not valid", name, value)
		}
	}
	return q, q.Check()
}

// Check returns an error for a value that is not a choice.
func (q *ConnQuery) Check() error {
	q.Sort = cmp.Or(q.Sort, "id")
	for _, c := range []struct {
		name, value string
		choices     []string
	}{{"sort", q.Sort, Sorts()}, {"state", q.State, proxy.ConnectionStates()}, {"stalls", q.Stalls, append(proxy.Stalls(), "any")}} {
		if c.value != "" && !slices.Contains(c.choices, c.value) {
			return fmt.Errorf("%s: %.40q is not a choice; use one of %s", c.name, c.value, strings.Join(c.choices, ", "))
		}
	}
	return nil
}

// takes reports whether a connection passes the filters.
func (q *ConnQuery) takes(c *Conn) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(q.Upstream, c.Upstream) && is(q.Listener, c.Listener) && is(q.SNI, c.SNI) && is(q.State, c.State) &&
		(is(q.Stalls, c.Stalls) || q.Stalls == "any" && c.Stalls != proxy.Stalls()[0]) &&
		(q.Client == "" || q.Client == c.Client.String() || q.Client == c.Client.Addr().String()) &&
		(q.Address == "" || q.Address == c.Address.String() || q.Address == c.Address.Addr().String())
}

// list applies the query to rows.
func (q *ConnQuery) list(rows []Conn) []Conn {
	return q.sort(slices.DeleteFunc(rows, func(c Conn) bool { return !q.takes(&c) }))
}

// sort returns the rows in the order that q asks for.
func (q *ConnQuery) sort(rows []Conn) []Conn {
	order := sorts[q.Sort]
	at := make([]*Conn, len(rows)) // rows are large: sorting them in place would copy each a dozen times
	for i := range rows {
		at[i] = &rows[i]
	}
	slices.SortFunc(at, func(a, b *Conn) int {
		by := cmp.Or(order(a, b), cmp.Compare(a.ID, b.ID))
		if q.Reverse {
			by = -by
		}
		return by
	})
	sorted := make([]Conn, len(rows))
	for i, c := range at {
		sorted[i] = *c
	}
	return sorted
}

const (
	// looksAtOnce is how many listings may be under way, their callers' reading included: each holds megabytes at 9,000 connections.
	looksAtOnce = 4
	// lookTime is how long a listing may take, and its caller to read it.
	lookTime = 10 * time.Second
)

var errLooksBusy = fmt.Errorf("%d listings of the connections are under way: try again in a moment", looksAtOnce)

// conns lists connections. The answer is made whole before any of it is sent, so a slow reader holds no loop up.
func (h handlers) conns(w http.ResponseWriter, r *http.Request) {
	values, ok := query(w, r)
	if !ok {
		return
	}
	q, err := parseConnQuery(values)
	if err != nil {
		failed(w, http.StatusBadRequest, err)
		return
	}
	select {
	case h.looks.places <- struct{}{}:
		defer func() { <-h.looks.places }()
	default:
		w.Header().Set("Retry-After", "1")
		failed(w, http.StatusServiceUnavailable, errLooksBusy)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), h.looks.limit)
	defer cancel()
	list, err := h.looks.take(ctx, h.Connections)
	if err != nil {
		failed(w, http.StatusServiceUnavailable, fmt.Errorf("list the connections: %w", err))
		return
	}
	list.Total = len(list.Conns)
	list.Conns = q.list(list.Conns)
	list.Found = len(list.Conns)
	if q.Limit > 0 {
		list.Conns = list.Conns[:min(q.Limit, len(list.Conns))]
	}
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(list); err != nil {
		failed(w, http.StatusInternalServerError, err)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(h.looks.limit)) // not there in tests without a connection
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(plain.JSON(body.Bytes())) // the caller may be gone
}
