data "aws_ssm_parameter" "al2023" {
  count = var.ami_id == null ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture}"
}

resource "aws_launch_template" "this" {
  name_prefix            = "${var.name}-"
  image_id               = var.ami_id != null ? var.ami_id : nonsensitive(data.aws_ssm_parameter.al2023[0].value)
  instance_type          = var.instance_types[0]
  update_default_version = true
  user_data              = base64encode(local.user_data)
  tags                   = local.tags

  iam_instance_profile {
    arn = aws_iam_instance_profile.this.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = var.metadata_hop_limit
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = var.public_address_at_boot
    delete_on_termination       = true # and with it the association: the address is back in the pool
    security_groups             = [aws_security_group.instance.id]

    # Newer instance types forget an established connection after 350 s of silence; l4fwd's own limit, an hour, is to decide.
    connection_tracking_specification {
      tcp_established_timeout = 3900
    }
  }

  monitoring {
    enabled = true # a minute, not five: scaling by CPU
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])
    content {
      resource_type = tag_specifications.value
      tags          = local.tags
    }
  }
}

resource "aws_autoscaling_group" "this" {
  name                      = local.asg_name
  min_size                  = var.size.min
  max_size                  = var.size.max
  desired_capacity          = coalesce(var.size.desired, var.size.min)
  vpc_zone_identifier       = local.instance_subnet_ids
  target_group_arns         = [for tg in aws_lb_target_group.this : tg.arn]
  health_check_type         = "ELB"
  health_check_grace_period = local.nat ? var.launch_timeout : 60 # begins after the launch hook, which l4fwd completes once it is ready
  default_instance_warmup   = 60
  capacity_rebalance        = var.spot != null
  enabled_metrics           = ["GroupInServiceInstances", "GroupPendingInstances", "GroupTerminatingInstances", "GroupTotalInstances", "GroupDesiredCapacity"]
  wait_for_capacity_timeout = "${var.launch_timeout + 300}s"

  dynamic "launch_template" {
    for_each = local.mixed ? [] : [1]
    content {
      id      = aws_launch_template.this.id
      version = aws_launch_template.this.latest_version
    }
  }

  dynamic "mixed_instances_policy" {
    for_each = local.mixed ? [1] : []
    content {
      instances_distribution {
        on_demand_allocation_strategy            = "prioritized"
        on_demand_base_capacity                  = try(var.spot.on_demand_base, 0)
        on_demand_percentage_above_base_capacity = try(var.spot.on_demand_percentage, 100)
        spot_allocation_strategy                 = "price-capacity-optimized"
      }
      launch_template {
        launch_template_specification {
          launch_template_id = aws_launch_template.this.id
          version            = aws_launch_template.this.latest_version
        }
        dynamic "override" {
          for_each = var.instance_types
          content {
            instance_type = override.value
          }
        }
      }
    }
  }

  # Made with the group: a hook of its own resource would miss the first instances. The hooks below keep them as they are to be.
  dynamic "initial_lifecycle_hook" {
    for_each = local.hooks
    content {
      name                 = "${var.name}-${initial_lifecycle_hook.key}"
      lifecycle_transition = "autoscaling:EC2_INSTANCE_${initial_lifecycle_hook.value.transition}"
      heartbeat_timeout    = initial_lifecycle_hook.value.seconds
      default_result       = initial_lifecycle_hook.value.result
    }
  }

  # Replacements come first, whatever the cause: refresh, failed health check, rebalance.
  instance_maintenance_policy {
    min_healthy_percentage = 100
    max_healthy_percentage = local.max_healthy
  }

  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = local.max_healthy
      instance_warmup        = 60
      auto_rollback          = true
      skip_matching          = true
    }
  }

  dynamic "tag" {
    for_each = local.tags
    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false # the launch template tags instances, volumes and interfaces
    }
  }

  lifecycle {
    # desired_capacity: scaling's business after the start. initial_lifecycle_hook: a change would make the group anew.
    ignore_changes = [desired_capacity, initial_lifecycle_hook]
  }

  # The first instances need the whole way to the APIs, their permissions and addresses to claim.
  depends_on = [
    aws_eip.pool, aws_iam_role_policy.l4fwd, aws_iam_role_policy.artifact, aws_lb_listener.this, aws_route.internet, aws_route.nat,
    aws_route_table_association.public, aws_vpc_endpoint.interface, aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.instance, aws_vpc_security_group_egress_rule.nlb,
    aws_vpc_security_group_ingress_rule.endpoints, aws_vpc_security_group_ingress_rule.instance,
  ]
}

# The hooks that the group was made with, by the same names.
resource "aws_autoscaling_lifecycle_hook" "this" {
  for_each               = local.hooks
  name                   = "${var.name}-${each.key}"
  autoscaling_group_name = aws_autoscaling_group.this.name
  lifecycle_transition   = "autoscaling:EC2_INSTANCE_${each.value.transition}"
  heartbeat_timeout      = each.value.seconds
  default_result         = each.value.result
}

locals {
  # The instance itself completes both. With NAT gateways it claims no address and completes no hook: health checks let it in, and the
  # deregistration delay drains it.
  hooks = { for name, hook in {
    launch    = { transition = "LAUNCHING", seconds = var.launch_timeout, result = "ABANDON" } # without an address of the pool it must not serve
    terminate = { transition = "TERMINATING", seconds = max(120, local.drain + 60), result = "CONTINUE" }
  } : name => hook if !local.nat }

  mixed = var.spot != null || length(var.instance_types) > 1
  # Percent of the desired capacity: at size.max it allows surge instances, never more; AWS takes 200 at most.
  max_healthy = min(200, 100 + max(1, floor(100 * var.surge / var.size.max)))
}

resource "aws_autoscaling_policy" "cpu" {
  count                  = var.scaling.metric == "cpu" ? 1 : 0
  name                   = "${var.name}-cpu"
  autoscaling_group_name = aws_autoscaling_group.this.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = var.scaling.target
    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
}

resource "aws_autoscaling_policy" "connections" {
  count                  = var.scaling.metric == "connections" ? 1 : 0
  name                   = "${var.name}-connections"
  autoscaling_group_name = aws_autoscaling_group.this.name
  policy_type            = "TargetTrackingScaling"

  target_tracking_configuration {
    target_value = var.scaling.target
    customized_metric_specification {
      metrics {
        id          = "flows"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "AWS/NetworkELB"
            metric_name = "ActiveFlowCount_TCP"
            dimensions {
              name  = "LoadBalancer"
              value = aws_lb.this.arn_suffix
            }
          }
        }
      }
      metrics {
        id          = "instances"
        return_data = false
        metric_stat {
          stat = "Average"
          metric {
            namespace   = "AWS/AutoScaling"
            metric_name = "GroupInServiceInstances"
            dimensions {
              name  = "AutoScalingGroupName"
              value = aws_autoscaling_group.this.name
            }
          }
        }
      }
      metrics {
        id          = "each"
        label       = "connections an instance"
        expression  = "flows / instances"
        return_data = true
      }
    }
  }
}
