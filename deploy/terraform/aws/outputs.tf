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
  description = "The pool as Azure's firewall takes it: plain addresses, since it refuses /32."
  value       = sort(aws_eip.pool[*].public_ip)
}

output "region" {
  description = "Region, which the connectivity configuration has to share."
  value       = local.region
}

output "vpc_id" {
  value = local.vpc_id
}

output "nlb_arn" {
  value = aws_lb.this.arn
}

output "nlb_dns_name" {
  value = aws_lb.this.dns_name
}

output "target_group_arns" {
  description = "By port."
  value       = { for port, tg in aws_lb_target_group.this : port => tg.arn }
}

output "autoscaling_group_name" {
  value = aws_autoscaling_group.this.name
}

output "instance_security_group_id" {
  value = aws_security_group.instance.id
}

output "role_name" {
  value = aws_iam_role.this.name
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
  value = local.user_data
}

output "alarm_topic_arn" {
  value = local.alarm_topic
}

output "accepted" {
  description = "Endpoint connections that Terraform accepted, by the names of accept_vpc_endpoints."
  value       = { for name, a in aws_vpc_endpoint_connection_accepter.this : name => a.vpc_endpoint_id }
}
