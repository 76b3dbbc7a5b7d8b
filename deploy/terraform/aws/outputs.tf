output "endpoint_service_name" {
  description = "com.amazonaws.vpce.…: what Databricks' private endpoint rule names."
  value       = aws_vpc_endpoint_service.this.service_name
}

output "endpoint_service_id" {
  description = "vpce-svc-…: what a connection is accepted on."
  value       = aws_vpc_endpoint_service.this.id
}

output "public_ips" {
  description = "The pool's addresses."
  value       = aws_eip.pool[*].public_ip
}

output "allocation_ids" {
  description = "The pool's allocations."
  value       = aws_eip.pool[*].allocation_id
}

output "ip_rules" {
  description = "The pool as Azure's firewall takes it: plain addresses, since it refuses /32; pool_cidr where that is given."
  value       = var.pool_cidr != null ? [var.pool_cidr] : sort(distinct(concat(aws_eip.pool[*].public_ip, local.nat && var.vpc != null ? var.vpc.nat_public_ips : [])))

  precondition {
    condition     = alltrue([for ip in(var.pool_cidr == null ? [] : aws_eip.pool[*].public_ip) : cidrhost("${ip}/${split("/", var.pool_cidr)[1]}", 0) == cidrhost(var.pool_cidr, 0)])
    error_message = "pool_cidr: not every address of the pool is in it, so Azure would refuse an instance. Give the pool's whole block, and ipam_pool_id or public_ipv4_pool that allocates from it."
  }
}

output "region" {
  description = "Region, which the connectivity configuration has to share."
  value       = local.region
}

output "vpc_id" {
  description = "The VPC, made or given."
  value       = local.vpc_id
}

output "nlb_arn" {
  description = "The load balancer."
  value       = aws_lb.this.arn
}

output "nlb_dns_name" {
  description = "Its name in DNS, which only the VPC can reach."
  value       = aws_lb.this.dns_name
}

output "target_group_arns" {
  description = "By port."
  value       = { for port, tg in aws_lb_target_group.this : port => tg.arn }
}

output "autoscaling_group_name" {
  description = "The group of instances."
  value       = aws_autoscaling_group.this.name
}

output "instance_security_group_id" {
  description = "Security group of the instances: allow it where an upstream of yours is."
  value       = aws_security_group.instance.id
}

output "role_name" {
  description = "Role of the instances."
  value       = aws_iam_role.this.name
}

output "policy_json" {
  description = "What the instances may do beside fetching the artifact."
  value       = local.policy
}

output "config_yaml" {
  description = "/etc/l4fwd/l4fwd.yaml as the instances get it."
  value       = local.config_yaml
}

output "user_data" {
  description = "What an instance runs at its first boot."
  value       = local.user_data
}

output "alarm_topic_arn" {
  description = "SNS topic of the alarms, made or given."
  value       = local.alarm_topic
}

output "accepted" {
  description = "Endpoint connections that Terraform accepted, by the names of accept_vpc_endpoints."
  value       = { for name, a in aws_vpc_endpoint_connection_accepter.this : name => a.vpc_endpoint_id }
}
