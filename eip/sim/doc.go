// Package sim simulates the services of AWS that l4fwd talks to, with the semantics that matter to it, the unpleasant ones
// above all. Each service is an http.Handler that the real SDK's client can be pointed at, over a socket or, with
// Transport, within the process, where it also works in a bubble of testing/synctest. It is for tests only.
package sim
