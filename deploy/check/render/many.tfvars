upstreams = [
  {
    name    = "east", address = "east.openai.azure.com:443", sni = ["east.openai.azure.com"], admission = "strict", required = true
    balance = "round_robin", max_connections = 5000, on_removed = "close_after 5m", send_proxy = "off"
    connect = { timeout = "3s" }, check = { type = "https", path = "/openai/v1/models", fall = 2 }, outlier = { failures = 3 }, warm = { connections = 32 }
  },
  { name = "west", address = "10.2.0.4:443", backups = ["west.openai.azure.com:443"], sni = ["west.openai.azure.com"] },
]
listen_ports = [443, 8443]
allow_vpce   = ["vpce-0123456789abcdef0"]
config       = { log = { access = "all" }, timeouts = { idle = "30m" } }
