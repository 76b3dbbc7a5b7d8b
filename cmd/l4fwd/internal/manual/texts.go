package manual

// What no verb and no key says of itself.

const aboutFile = `The file is YAML. l4fwd reads it where --config or L4FWD_CONFIG names it, and again on SIGHUP and l4fwd reload.
A setting is taken from its flag, else from the environment, else from the file, else it has its default. An unknown key is
a fault; l4fwd check reports every fault at once, with file, line and key. A list is set as a whole.

The keys of a list's entries have [] in their names here: listeners[].name is the name of each listener.`

// FileExample is the example of l4fwd.yaml(5). A test has check accept it.
const FileExample = `listeners:
  - name: aoai
    address: ":443"
    routes:
      - sni: ["demo.openai.azure.com"]
        upstream: demo
upstreams:
  - name: demo
    address: demo.openai.azure.com:443
    check: {type: https}
eip:
  pool: "tag:l4fwd-pool=aoai"
`

var environment = []entry{
	{"L4FWD_<KEY>", "The value of a key: dots and dashes become underscores, so that timeouts.idle is L4FWD_TIMEOUTS_IDLE. l4fwd.yaml(5) names them all."},
	{"L4FWD_CONFIG", "The configuration file, if no flag names one."},
	{"AWS_REGION, AWS_ENDPOINT_URL, …", "Region, credentials and endpoints of AWS, as its SDK takes them."},
	{"NO_COLOR", "If set, nothing is printed in colour."},
}

var files = []entry{
	{"/etc/l4fwd/l4fwd.yaml", "The configuration that the systemd unit names. Nothing else is read unless it is named."},
	{"/etc/l4fwd/l4fwd.env", "Environment of the systemd unit. It may hold credentials."},
	{"/usr/share/doc/l4fwd", "Documents: CONFIG.md, METRICS.md, RUNBOOK.md and others."},
	{"/usr/share/l4fwd", "Alert rules for Prometheus and a dashboard for Grafana."},
}

var signals = []entry{
	{"SIGTERM, SIGINT", "Drain: not ready, drain.lame_duck, stop accepting, wait for connections up to drain.timeout, release the Elastic IP, exit 0. A second one ends it at once and still releases the address."},
	{"SIGHUP", "Load the file again. A faulty file changes nothing and is reported in the log, at /readyz?verbose and as a metric."},
	{"SIGUSR1", "Restart: leave sockets and connections in the service manager's store for descriptors and end; the next process takes them over. Without a store: drain."},
	{"SIGUSR2", "Upgrade: start the binary now on disk and hand it sockets and connections. If that fails, this process goes on; the log has the reason."},
}
