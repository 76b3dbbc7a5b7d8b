locals {
  # Ready ends at once, but the load balancer needs so many failed checks to see it: clients are accepted for that long, and a
  # margin, before l4fwd stops.
  lame_duck = var.health_check.interval * var.health_check.unhealthy_threshold + 5
  drain     = local.lame_duck + var.drain_timeout

  config = merge(
    { log = { format = "json" } },
    var.config,
    {
      upstreams = [for u in var.upstreams : merge(
        { name = u.name, address = u.address },
        length(u.backups) > 0 ? { backups = u.backups } : {},
        { for key, value in {
          balance   = u.balance, max_connections = u.max_connections, on_removed = u.on_removed, send_proxy = u.send_proxy,
          admission = u.admission, required = u.required
        } : key => value if value != null },
        { for key, section in { connect = u.connect, check = u.check, outlier = u.outlier, warm = u.warm } :
        key => { for name, value in section : name => value if value != null } if section != null },
      )]
      listeners = [for p in var.listen_ports : merge(
        { name = "port-${p}", address = ":${p}", accept_proxy = var.proxy_protocol ? "required" : "off" },
        length(var.allow_vpce) > 0 ? { allow_vpce = var.allow_vpce } : {},
        length(flatten(var.upstreams[*].sni)) > 0 ? {
          routes = [for u in var.upstreams : { sni = u.sni, upstream = u.name }]
        } : {},
      )]
      drain  = { lame_duck = "${local.lame_duck}s", timeout = "${var.drain_timeout}s" }
      health = { address = ":${var.health_port}" }
    },
    { for key, section in { eip = { pool = "tag:${var.pool_tag_key}=${var.name}", required = true } } : key => section if !local.nat },
  )
  config_yaml = yamlencode(local.config)

  user_data = templatefile("${path.module}/templates/user_data.sh.tftpl", {
    source       = try(var.artifact.source, "")
    sha256       = try(var.artifact.sha256, "")
    region       = local.region
    config       = local.config_yaml
    stop_timeout = local.drain + 60 # beyond the drain: release of the address, completion of the hook
  })
}
