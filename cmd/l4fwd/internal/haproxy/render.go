package haproxy

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// mapping is a YAML mapping that grows.
type mapping struct{ node *yaml.Node }

// newMapping returns an empty mapping in a style; 0 is the one of a line for each key.
func newMapping(style yaml.Style) mapping {
	return mapping{&yaml.Node{Kind: yaml.MappingNode, Style: style}}
}

// put adds a key with a node.
func (m mapping) put(key string, value *yaml.Node) {
	m.node.Content = append(m.node.Content, text(key), value)
}

// text adds a key with a text, unless it is empty.
func (m mapping) text(key, value string) {
	if value != "" {
		m.put(key, text(value))
	}
}

// number adds a key with a number, unless it is 0.
func (m mapping) number(key string, n int) {
	if n != 0 {
		m.put(key, plain(strconv.Itoa(n)))
	}
}

// duration adds a key with a duration, unless it is 0.
func (m mapping) duration(key string, d time.Duration) {
	if d != 0 {
		m.put(key, plain(write(d)))
	}
}

// list adds a key with a list of texts, unless it is empty.
func (m mapping) list(key string, all []string) {
	if len(all) > 0 {
		m.put(key, texts(all))
	}
}

// section adds a key with a mapping, unless it is empty.
func (m mapping) section(key string, below mapping) {
	if len(below.node.Content) > 0 {
		m.put(key, below.node)
	}
}

// flow adds a key with a mapping on one line that fill fills, unless it is empty.
func (m mapping) flow(key string, fill func(mapping)) {
	below := newMapping(yaml.FlowStyle)
	fill(below)
	m.section(key, below)
}

// text is a text, in quotes where YAML would read something else.
func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// plain is a number or a duration.
func plain(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

// texts is a list on one line, or on several if it is long.
func texts(all []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	length := 0
	for _, s := range all {
		length += len(s) + 2
		n.Content = append(n.Content, text(s))
	}
	if length < 100 {
		n.Style = yaml.FlowStyle
	}
	return n
}

// render writes the configuration. file is named at its top.
func (o *output) render(file string) ([]byte, error) {
	root := newMapping(0)
	root.node.HeadComment = "From " + strconv.QuoteToASCII(file) +
		" by l4fwd import haproxy. What is not here has l4fwd's default: docs/CONFIG.md."
	root.number("loops", o.loops)
	root.put("listeners", o.listenerNodes())
	root.put("upstreams", o.upstreamNodes())
	root.flow("timeouts", func(m mapping) {
		m.duration("preface", o.preface)
		m.duration("idle", o.idle)
		m.duration("half_close", o.halfClose)
	})
	root.flow("keepalive", o.keepalive.write)
	root.flow("limits", func(m mapping) {
		m.number("max_connections", o.maxConnections)
		m.number("per_source", o.perSource)
		m.number("accept_rate", o.acceptRate)
	})
	root.section("dns", o.dns.node())
	root.flow("drain", func(m mapping) {
		if o.grace >= 0 {
			m.put("lame_duck", plain(write(o.grace)))
		}
		m.duration("timeout", o.hardStop)
	})
	root.flow("health", func(m mapping) { m.text("address", o.health) })
	root.flow("admin", func(m mapping) { m.text("address", o.admin) })
	root.flow("log", func(m mapping) { m.text("access", o.access) })
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(root.node); err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return b.Bytes(), nil
}

// write adds the keys of keepalive.
func (k keepalive) write(m mapping) {
	m.duration("idle", k.idle)
	m.duration("interval", k.interval)
	m.number("count", k.count)
	m.duration("user_timeout", k.userTimeout)
}

// listenerNodes are the entries of listeners.
func (o *output) listenerNodes() *yaml.Node {
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, l := range o.listeners {
		m := newMapping(0)
		m.text("name", l.name)
		m.text("address", l.bound.String())
		m.text("upstream", l.upstream)
		if l.bound.proxied {
			m.text("accept_proxy", "required")
		}
		var allow []string
		for _, p := range l.allow {
			if p.IsSingleIP() {
				allow = append(allow, p.Addr().String())
			} else {
				allow = append(allow, p.String())
			}
		}
		m.list("allow_sources", allow)
		if len(l.routes) > 0 {
			m.put("routes", routeNodes(l.routes))
		}
		all.Content = append(all.Content, m.node)
	}
	return all
}

// routeNodes are the entries of routes.
func routeNodes(routes []routed) *yaml.Node {
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, r := range routes {
		m := newMapping(0)
		m.list("sni", r.names)
		m.text("upstream", r.upstream)
		all.Content = append(all.Content, m.node)
	}
	return all
}

// upstreamNodes are the entries of upstreams.
func (o *output) upstreamNodes() *yaml.Node {
	all := &yaml.Node{Kind: yaml.SequenceNode}
	for _, u := range o.upstreams {
		all.Content = append(all.Content, u.node())
	}
	return all
}

// node is the entry of one upstream.
func (u *upstream) node() *yaml.Node {
	m := newMapping(0)
	m.text("name", u.name)
	m.text("address", u.address)
	m.list("addresses", u.addresses)
	m.list("backups", u.backups)
	m.text("balance", u.balance)
	m.number("max_connections", u.maxConnections)
	m.section("connect", u.connectNode())
	m.section("check", u.check.node())
	if u.outlierFailures >= 0 {
		out := newMapping(yaml.FlowStyle)
		out.put("failures", plain(strconv.Itoa(u.outlierFailures)))
		m.section("outlier", out)
	}
	m.list("source_addresses", addressTexts(u.sources))
	if u.sendProxy != "off" {
		m.text("send_proxy", u.sendProxy)
	}
	return m.node
}

// addressTexts are addresses as the configuration writes them.
func addressTexts(all []netip.Addr) (texts []string) {
	for _, a := range all {
		texts = append(texts, a.String())
	}
	return texts
}

// connectNode is the section connect of an upstream.
func (u *upstream) connectNode() mapping {
	c := newMapping(yaml.FlowStyle)
	c.duration("timeout", u.connectTimeout)
	c.number("attempts", u.attempts)
	if u.oneByOne {
		c.put("stagger", plain("0s"))
	}
	return c
}

// node is the check of an upstream.
func (c check) node() mapping {
	m := newMapping(yaml.FlowStyle)
	if c.kind == "" {
		m.text("type", "none")
		return m
	}
	m.text("type", c.kind)
	m.duration("interval", c.interval)
	m.duration("timeout", c.timeout)
	m.number("rise", c.rise)
	m.number("fall", c.fall)
	m.text("path", c.path)
	return m
}

// node is the section dns. min_ttl must not be longer than max_ttl.
func (d dns) node() mapping {
	m := newMapping(yaml.FlowStyle)
	var servers []string
	for _, s := range d.servers {
		servers = append(servers, s.String())
	}
	m.list("servers", servers)
	if d.maxTTL > 0 && d.maxTTL < 5*time.Second {
		m.duration("min_ttl", d.maxTTL)
	}
	m.duration("max_ttl", d.maxTTL)
	m.duration("timeout", d.timeout)
	return m
}
