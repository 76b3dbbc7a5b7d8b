upstreams = [
  { name = "east", address = "east.openai.azure.com:443", sni = ["east.openai.azure.com"] },
  { name = "west", address = "10.2.0.4:443", backups = ["west.openai.azure.com:443"], sni = ["west.openai.azure.com"] },
]
listen_ports = [443, 8443]
allow_vpce   = ["vpce-0123456789abcdef0"]
config       = { log = { access = "all" }, timeouts = { idle = "30m" } }
