resource "aws_lb" "this" {
  name                                                         = "${var.name}-nlb"
  internal                                                     = true
  load_balancer_type                                           = "network"
  subnets                                                      = local.nlb_subnet_ids
  security_groups                                              = [aws_security_group.nlb.id]
  enforce_security_group_inbound_rules_on_private_link_traffic = "off"
  enable_cross_zone_load_balancing                             = true # a zone without a ready instance still serves
  enable_zonal_shift                                           = var.zonal_shift
  secondary_ips_auto_assigned_per_subnet                       = var.secondary_addresses
  tags                                                         = local.tags
}

resource "aws_lb_target_group" "this" {
  for_each    = toset([for p in var.listen_ports : tostring(p)])
  name        = "${var.name}-${each.key}"
  port        = tonumber(each.key)
  protocol    = "TCP"
  target_type = "instance"
  vpc_id      = local.vpc_id

  proxy_protocol_v2  = var.proxy_protocol
  preserve_client_ip = false # PrivateLink has no client address; the PROXY header tells the endpoint

  # As long as l4fwd drains; by then it has closed the last connection itself, and what still stands is dead.
  deregistration_delay   = local.drain
  connection_termination = true

  # /readyz answers 503 while l4fwd drains. By default the load balancer would reset the target's connections at that moment,
  # the very ones that are to finish.
  target_health_state {
    enable_unhealthy_connection_termination = false
    unhealthy_draining_interval             = local.drain
  }

  health_check {
    protocol            = "HTTP"
    port                = var.health_port
    path                = "/readyz"
    matcher             = "200"
    interval            = var.health_check.interval
    timeout             = var.health_check.timeout
    healthy_threshold   = var.health_check.healthy_threshold
    unhealthy_threshold = var.health_check.unhealthy_threshold
  }

  tags = local.tags

  # A port that is taken out of listen_ports: AWS deletes no target group that the listener still forwards to, so the listener goes first.
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_lb_listener" "this" {
  load_balancer_arn        = aws_lb.this.arn
  port                     = 443
  protocol                 = "TCP"
  tcp_idle_timeout_seconds = var.idle_timeout

  default_action {
    type             = "forward"
    target_group_arn = length(local.forward_ports) == 1 ? aws_lb_target_group.this[tostring(local.forward_ports[0])].arn : null

    dynamic "forward" {
      for_each = length(local.forward_ports) > 1 ? [1] : []
      content {
        dynamic "target_group" {
          for_each = toset([for p in local.forward_ports : tostring(p)])
          content {
            arn    = aws_lb_target_group.this[target_group.key].arn
            weight = 1
          }
        }
      }
    }
  }

  tags = local.tags
}

resource "aws_vpc_endpoint_service" "this" {
  acceptance_required        = true
  allowed_principals         = local.principals
  network_load_balancer_arns = [aws_lb.this.arn]
  tags                       = local.tags

  depends_on = [aws_lb_listener.this]
}

resource "aws_vpc_endpoint_connection_accepter" "this" {
  for_each                = var.accept_vpc_endpoints
  vpc_endpoint_service_id = aws_vpc_endpoint_service.this.id
  vpc_endpoint_id         = each.value
}
