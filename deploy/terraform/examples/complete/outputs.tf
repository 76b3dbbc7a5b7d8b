output "endpoint_service_name" {
  value = module.aws.endpoint_service_name
}

output "endpoint_service_id" {
  value = module.aws.endpoint_service_id
}

output "ip_rules" {
  description = "The pool, as it is in Azure's firewall."
  value       = module.aws.ip_rules
}

output "autoscaling_group_name" {
  value = module.aws.autoscaling_group_name
}

output "config_yaml" {
  description = "/etc/l4fwd/l4fwd.yaml as the instances get it: for l4fwd check, before it is applied."
  value       = module.aws.config_yaml
}

output "nlb_arn" {
  description = "The load balancer: for zonal shift."
  value       = module.aws.nlb_arn
}

output "target_group_arns" {
  value = module.aws.target_group_arns
}

output "network_connectivity_config_id" {
  value = module.databricks.network_connectivity_config_id
}

output "rule_id" {
  value = module.databricks.rule_id
}

output "vpc_endpoint_id" {
  value = module.databricks.vpc_endpoint_id
}

output "connection_state" {
  description = "PENDING until accepted, then ESTABLISHED; terraform refresh reads it anew."
  value       = module.databricks.connection_state
}

output "host" {
  value = module.azure.host
}

output "targets" {
  description = "Every name with its port: for l4fwd doctor --target."
  value       = module.azure.targets
}

output "openai_account_id" {
  value = module.azure.account_id
}
