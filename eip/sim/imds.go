package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Machine is what the metadata service tells of the instance it belongs to.
type Machine struct {
	Region, Account, Instance string
	MAC, Interface, PrivateIP string
}

// Metadata is the instance metadata service of one machine, version 2 only: a token by PUT first, then GET with it.
type Metadata struct {
	mu       sync.Mutex
	machine  Machine
	items    map[string]string // below /latest/meta-data/
	tokens   map[string]time.Time
	issued   int
	hopLimit int
	hops     int
	fault    int
	asked    map[string]int
	public   func() string
}

// NewMetadata returns the service of a machine that asks from the machine itself.
func NewMetadata(m Machine) *Metadata {
	of := "network/interfaces/macs/" + m.MAC + "/"
	return &Metadata{machine: m, hopLimit: 1, hops: 1, tokens: map[string]time.Time{}, asked: map[string]int{}, items: map[string]string{
		"mac": m.MAC, "instance-id": m.Instance, "placement/region": m.Region, "local-ipv4": m.PrivateIP,
		of + "interface-id": m.Interface, of + "device-number": "0", of + "local-ipv4s": m.PrivateIP,
	}}
}

// Set changes an item below /latest/meta-data/; an empty value removes it, which makes it a 404.
func (m *Metadata) Set(path, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items[path] = value
}

// Public makes public-ipv4 what address returns at the time it is asked; empty is a 404.
func (m *Metadata) Public(address func() string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.public = address
}

// Interrupt gives the notice of Spot: action at a time.
func (m *Metadata) Interrupt(action string, at time.Time) {
	m.Set("spot/instance-action", fmt.Sprintf(`{"action":%q,"time":%q}`, action, at.UTC().Format(time.RFC3339)))
}

// Rebalance gives the recommendation of Spot.
func (m *Metadata) Rebalance(at time.Time) {
	m.Set("events/recommendations/rebalance", fmt.Sprintf(`{"noticeTime":%q}`, at.UTC().Format(time.RFC3339)))
}

// Hops says how many hops away the asking process is (1: on the machine, 2: in a container behind a bridge), and how many
// a token may travel.
func (m *Metadata) Hops(away, limit int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hops, m.hopLimit = away, limit
}

// Fail answers everything with an HTTP status until it is called with 0.
func (m *Metadata) Fail(status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = status
}

// Expire ends all tokens before their time.
func (m *Metadata) Expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.tokens)
}

// Asked returns how often an item was asked for with a valid token.
func (m *Metadata) Asked(path string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked[path]
}

// ServeHTTP answers as the metadata service does, or with the fault that a test has set.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	fault := m.fault
	m.mu.Unlock()
	switch {
	case fault != 0:
		http.Error(w, http.StatusText(fault), fault)
	case r.URL.Path == "/latest/api/token":
		m.token(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		http.Error(w, "", http.StatusMethodNotAllowed)
	case !m.valid(r.Header.Get("X-aws-ec2-metadata-token")):
		http.Error(w, "", http.StatusUnauthorized)
	default:
		m.item(w, r)
	}
}

// token answers the request for a session token, whose lifetime in seconds is in its header.
func (m *Metadata) token(w http.ResponseWriter, r *http.Request) {
	seconds, err := strconv.Atoi(r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds"))
	switch {
	case r.Method != http.MethodPut:
		http.Error(w, "", http.StatusMethodNotAllowed)
		return
	case r.Header.Get("X-Forwarded-For") != "":
		http.Error(w, "", http.StatusForbidden)
		return
	case err != nil || seconds < 1 || seconds > 21600:
		http.Error(w, "", http.StatusBadRequest)
		return
	}
	m.mu.Lock()
	lost := m.hops > m.hopLimit
	m.issued++
	token := fmt.Sprintf("token-%d", m.issued)
	m.tokens[token] = time.Now().Add(time.Duration(seconds) * time.Second)
	m.mu.Unlock()
	if lost {
		<-r.Context().Done() // the answer's packets ended on the way
		return
	}
	w.Header().Set("X-aws-ec2-metadata-token-ttl-seconds", strconv.Itoa(seconds))
	fmt.Fprint(w, token)
}

// valid reports whether the token was given out and has not expired.
func (m *Metadata) valid(token string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Before(m.tokens[token])
}

// item answers the request for a value of the metadata, or for the identity document.
func (m *Metadata) item(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.URL.Path == "/latest/dynamic/instance-identity/document" {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"region": m.machine.Region, "accountId": m.machine.Account, "instanceId": m.machine.Instance, "privateIp": m.machine.PrivateIP,
		})
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/latest/meta-data/")
	m.asked[path]++
	value := m.items[path]
	if path == "public-ipv4" && m.public != nil {
		value = m.public()
	}
	if value == "" {
		http.NotFound(w, r)
		return
	}
	fmt.Fprint(w, value)
}
