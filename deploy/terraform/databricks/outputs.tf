output "network_connectivity_config_id" {
  description = "The connectivity configuration, made or given."
  value       = local.ncc_id
}

output "rule_id" {
  description = "The private endpoint rule."
  value       = databricks_mws_ncc_private_endpoint_rule.this.rule_id
}

output "vpc_endpoint_id" {
  description = "The endpoint that waits for acceptance: accept_vpc_endpoints of the AWS module."
  value       = databricks_mws_ncc_private_endpoint_rule.this.vpc_endpoint_id
}

output "connection_state" {
  description = "CREATING, PENDING, ESTABLISHED, or CREATE_FAILED, REJECTED, DISCONNECTED, EXPIRED; as of the last refresh."
  value       = databricks_mws_ncc_private_endpoint_rule.this.connection_state
}

output "error_message" {
  description = "Why the rule failed, where it did."
  value       = databricks_mws_ncc_private_endpoint_rule.this.error_message
}

output "network_policy_id" {
  description = "The network policy of the workspaces, made or given; null without one."
  value       = local.policy_id
}
