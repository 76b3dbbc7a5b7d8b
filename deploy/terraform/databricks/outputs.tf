output "network_connectivity_config_id" {
  value = local.ncc_id
}

output "rule_id" {
  value = databricks_mws_ncc_private_endpoint_rule.this.rule_id
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
  value = databricks_mws_ncc_private_endpoint_rule.this.error_message
}

output "network_policy_id" {
  value = one(databricks_account_network_policy.this[*].network_policy_id)
}
