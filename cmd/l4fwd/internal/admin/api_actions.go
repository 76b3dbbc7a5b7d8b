package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy"
)

// closeConn ends one connection: 404 if none of that id is open.
func (h handlers) closeConn(w http.ResponseWriter, r *http.Request) {
	var q closeRequest
	if !decode(w, r, &q) {
		return
	}
	if err := h.CloseConnection(q.ID); err != nil {
		failed(w, statusOf(err), err)
		return
	}
	h.log.Info(MsgClosed, zap.Uint64("id", q.ID), zap.String("from", r.RemoteAddr))
	writeJSON(w, http.StatusOK, struct {
		ID     uint64 `json:"id"`
		Closed bool   `json:"closed"`
	}{q.ID, true})
}

// AddressRow is one address of an upstream.
type AddressRow struct {
	Upstream string `json:"upstream"`
	proxy.AddressStatus
}

// AddressList is the answer to GET /api/v1/addresses.
type AddressList struct {
	Addresses []AddressRow `json:"addresses"`
}

// addresses lists the addresses of all upstreams, or of the one that the query names.
func (h handlers) addresses(w http.ResponseWriter, r *http.Request) {
	list := AddressList{Addresses: []AddressRow{}}
	values, ok := query(w, r)
	if !ok {
		return
	}
	for name := range values {
		if name != "upstream" {
			failed(w, http.StatusBadRequest, unknownKey(name))
			return
		}
	}
	want := values.Get("upstream")
	found := want == ""
	for _, u := range h.State().Proxy.Upstreams {
		if want != "" && u.Name != want {
			continue
		}
		found = true
		for _, a := range u.Addresses {
			list.Addresses = append(list.Addresses, AddressRow{u.Name, a})
		}
	}
	if !found {
		failed(w, http.StatusNotFound, fmt.Errorf("upstream %.100q: %w; there are: %s", want, proxy.ErrUnknownUpstream, strings.Join(h.upstreamNames(), ", ")))
		return
	}
	writeJSON(w, http.StatusOK, list)
}

// upstreamNames are those of the configuration.
func (h handlers) upstreamNames() (names []string) {
	for _, u := range h.State().Proxy.Upstreams {
		names = append(names, u.Name)
	}
	return names
}

// eject takes an address out of use; restore ends that.
func (h handlers) eject(w http.ResponseWriter, r *http.Request) {
	h.address(w, r, MsgEjected, h.EjectAddress)
}

// restore ends an ejection by hand.
func (h handlers) restore(w http.ResponseWriter, r *http.Request) {
	h.address(w, r, MsgRestored, func(upstream string, addr netip.AddrPort, d time.Duration) (proxy.Ejection, error) {
		if d != 0 {
			return proxy.Ejection{}, errors.New("restore takes no \"for\"")
		}
		return h.RestoreAddress(upstream, addr)
	})
}

// address answers a request about one address: act ejects or restores it, and msg is what the log says.
func (h handlers) address(w http.ResponseWriter, r *http.Request, msg string, act func(string, netip.AddrPort, time.Duration) (proxy.Ejection, error)) {
	var q addressRequest
	if !decode(w, r, &q) {
		return
	}
	if !q.Address.IsValid() {
		failed(w, http.StatusBadRequest, errors.New("\"address\" is missing: write it as GET /api/v1/addresses has it, such as 20.42.4.211:443"))
		return
	}
	out, err := act(q.Upstream, q.Address, time.Duration(q.For))
	if err != nil {
		failed(w, statusOf(err), err)
		return
	}
	h.log.Info(msg, zap.String("upstream", out.Upstream), zap.Stringer("address", out.Address), zap.Duration("for", time.Duration(q.For)),
		zap.String("warning", out.Warning), zap.String("from", r.RemoteAddr))
	writeJSON(w, http.StatusOK, out)
}

// statusOf is the status of an answer that reports err.
func statusOf(err error) int {
	for _, missing := range []error{proxy.ErrNotOpen, proxy.ErrUnknownUpstream, proxy.ErrUnknownAddress} {
		if errors.Is(err, missing) {
			return http.StatusNotFound
		}
	}
	if errors.Is(err, proxy.ErrNotEjected) {
		return http.StatusConflict
	}
	return http.StatusBadRequest
}

// logLevel answers with the level of the log.
func (h handlers) logLevel(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, h.LogLevel())
}

// setLogLevel changes it.
func (h handlers) setLogLevel(w http.ResponseWriter, r *http.Request) {
	var q levelRequest
	if !decode(w, r, &q) {
		return
	}
	if !slices.Contains(LogLevels, q.Level) {
		failed(w, http.StatusBadRequest, fmt.Errorf("level %.40q is not a choice: use one of %s", q.Level, strings.Join(LogLevels, ", ")))
		return
	}
	out := h.SetLogLevel(q.Level, time.Duration(q.For))
	h.log.Info(MsgLevel, zap.String("to", out.Level), zap.Duration("for", time.Duration(q.For)), zap.String("from", r.RemoteAddr))
	writeJSON(w, http.StatusOK, out)
}

// events lists the latest events.
func (h handlers) events(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, EventList{append([]Event{}, h.Events()...)})
}
