// Package proxy is the policy of the forwarder: who may enter, where to, when to stop. The mechanism is in
// proxy/relay, names are kept fresh by proxy/resolve, addresses and their standing by proxy/upstream.
package proxy
