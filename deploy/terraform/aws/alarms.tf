resource "aws_sns_topic" "alarms" {
  count = var.alarm_topic_arn == null ? 1 : 0
  name  = "${var.name}-alarms"
  tags  = local.tags
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = var.alarm_emails
  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.key
}

locals {
  alarm_topic = var.alarm_topic_arn != null ? var.alarm_topic_arn : aws_sns_topic.alarms[0].arn
  lb          = { LoadBalancer = aws_lb.this.arn_suffix }
  group       = { AutoScalingGroupName = aws_autoscaling_group.this.name }

  # One address of the load balancer has 55,000 ports to one target (address and port).
  ports_each      = 55000 * (1 + var.secondary_addresses) * length(local.forward_ports)
  port_arithmetic = "An instance takes 55,000 x ${1 + var.secondary_addresses} addresses of a load balancer node x ${length(local.forward_ports)} listen_ports = ${local.ports_each} connections of a node, ${var.size.max} instances ${local.ports_each * var.size.max}. Raise secondary_addresses (7 at most), then size.max."

  alarms = merge(
    {
      port-allocation-errors = {
        text      = "The load balancer refused connections: every port of a pair of its address and a target is in use. ${local.port_arithmetic}"
        namespace = "AWS/NetworkELB", metric = "PortAllocationErrorCount", dimensions = local.lb
        statistic = "Sum", compare = "GreaterThanThreshold", threshold = 0, minutes = 1, missing = "notBreaching"
      }
      launch-stuck = {
        text      = "An instance has been waiting to enter service for 10 minutes: no free Elastic IP, no permission, or not ready."
        namespace = "AWS/AutoScaling", metric = "GroupPendingInstances", dimensions = local.group
        statistic = "Minimum", compare = "GreaterThanThreshold", threshold = 0, minutes = 10, missing = "notBreaching"
      }
    },
    { for name, alarm in { pool-exhausted = {
      text      = "There are as many instances as Elastic IPs: the next replacement finds none free. Raise pool_size, and add the new addresses in Azure first."
      namespace = "AWS/AutoScaling", metric = "GroupTotalInstances", dimensions = local.group
      statistic = "Minimum", compare = "GreaterThanOrEqualToThreshold", threshold = local.pool_size, minutes = 15, missing = "notBreaching"
    } } : name => alarm if !local.nat },
    { for i, gateway in aws_nat_gateway.this : "nat-port-errors-${i}" => {
      text      = "A NAT gateway refused connections: ${var.nat_addresses} x 55,000 to one destination are in use. Raise nat_addresses, and add the new addresses in Azure first."
      namespace = "AWS/NATGateway", metric = "ErrorPortAllocation", dimensions = { NatGatewayId = gateway.id }
      statistic = "Sum", compare = "GreaterThanThreshold", threshold = 0, minutes = 1, missing = "notBreaching"
    } },
    { for port, tg in aws_lb_target_group.this : "unhealthy-targets-${port}" => {
      text      = "A target has failed /readyz for 3 minutes."
      namespace = "AWS/NetworkELB", metric = "UnHealthyHostCount", dimensions = merge(local.lb, { TargetGroup = tg.arn_suffix })
      statistic = "Maximum", compare = "GreaterThanThreshold", threshold = 0, minutes = 3, missing = "notBreaching"
    } },
    { for port, tg in aws_lb_target_group.this : "no-healthy-target-${port}" => {
      text      = "No target is healthy: nothing gets through, or the load balancer sends to all of them."
      namespace = "AWS/NetworkELB", metric = "HealthyHostCount", dimensions = merge(local.lb, { TargetGroup = tg.arn_suffix })
      statistic = "Maximum", compare = "LessThanThreshold", threshold = 1, minutes = 2, missing = "breaching"
    } },
  )
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.compare
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  treat_missing_data  = each.value.missing
  alarm_actions       = [local.alarm_topic]
  ok_actions          = [local.alarm_topic]
  tags                = local.tags
}
