// Package config reads the configuration: flags, environment variables and a YAML file become one Config of typed
// values, or faults that say what to correct and where.
//
// A key is defined once, in the keys method of the struct that has its field. The way of a value is
//
//	flag ─────┐
//	variable ─┼─► viper: which of them wins ─► key.field.set: text → typed value ─► shorthands merged ─► validate
//	file ─────┘
//
// What is in a list of sections (listeners, upstreams) can only be in a file, and is set when it is read.
package config

// Config is the whole configuration, in typed values.
type Config struct {
	Upstream HostPort     // stands for Upstreams; zero once loaded
	Listen   []ListenAddr // stands for Listeners; nil once loaded
	Loops    int          // event loops; 0: one for each processor
	Engine   Engine
	Steering Steering
	Warm     int // stands for Upstreams[0].Warm.Connections; 0 once loaded
	Reload   ReloadMode

	Listeners []Listener // at least one, names unique
	Upstreams []Upstream // at least one, names unique

	Timeouts  Timeouts
	Keepalive Keepalive
	Limits    Limits
	DNS       DNS
	EIP       EIP
	Lifecycle Lifecycle
	Drain     Drain
	Health    Health
	Admin     Admin
	Log       Log
}

// keys are all keys, bound to c.
func (c *Config) keys() []*key {
	return place([]*key{
		value("upstream", &c.Upstream, ParseHostPort, HostPort.String,
			"The one upstream; short for one entry of `upstreams`.").withFlag("upstream", "HOST:PORT").shorthand(),
		values("listen", &c.Listen, ParseListen, ListenAddr.String,
			"Where to accept: IP:PORT, :PORT, or localhost:PORT for 127.0.0.1. Each is short for one entry of `listeners`. Default: :443.").
			withFlag("listen", "ADDR").shorthand(),
		number("loops", &c.Loops, 0, 0, 1024,
			"Event loops. 0: one for each CPU that the process may use.").withFlag("loops", "N").fixed(),
		choice("engine", &c.Engine, EngineAuto,
			"How connections are served. auto takes the fastest that the kernel and the sandbox allow.",
			EngineAuto, EngineUring, EngineEpoll, EnginePortable).withFlag("engine", "NAME").fixed().
			note("The engine and the reason for it are logged at start and shown by `l4fwd status`."),
		choice("steering", &c.Steering, SteeringOff,
			"off: the kernel spreads clients over the loops by chance. cpu: a client is accepted by the loop of the CPU that received its handshake.",
			SteeringOff, SteeringCPU).fixed().
			note("`cpu` sets `SO_INCOMING_CPU` on the listening sockets, which Linux heeds from 6.2 on. It pays where the NIC spreads packets over as many CPUs as there are loops; " +
				"where all come in on one CPU, one loop works alone: measure before you use it ([performance](design/performance.md)). Sockets that systemd hands over are not steered."),
		number("warm", &c.Warm, 0, 0, maxWarm,
			"Connections to the one upstream that are kept ready for clients; short for its `warm.connections`.").
			withFlag("warm", "N").shorthand(),
		choice("reload", &c.Reload, ReloadOff,
			"watch: the file is loaded again when it changes, as after SIGHUP. off: only after SIGHUP.",
			ReloadOff, ReloadWatch).fixed().
			note("A change is also noticed where a symbolic link puts the file in place, as Kubernetes does. If the cause of a failed reload " +
				"may be temporary (a port that is taken, a name that does not resolve), `watch` tries again, after 1 s at first and at most every minute."),
		sections("listeners", &c.Listeners, (*Listener).keys, "Where to accept clients. Without any: one listener on :443."),
		sections("upstreams", &c.Upstreams, (*Upstream).keys, "Where connections go. At least one is required, here or as `upstream`."),
		section("timeouts", c.Timeouts.keys()),
		section("keepalive", c.Keepalive.keys()),
		section("limits", c.Limits.keys()),
		section("dns", c.DNS.keys()).fixed(),
		section("eip", c.EIP.keys()).fixed(),
		section("lifecycle", c.Lifecycle.keys()).fixed(),
		section("drain", c.Drain.keys()),
		section("health", c.Health.keys()).fixed(),
		section("admin", c.Admin.keys()).fixed(),
		section("log", c.Log.keys()),
	}, "", false)
}
