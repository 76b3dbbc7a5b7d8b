output "resource_group_name" {
  value = local.resource_group
}

output "account_id" {
  value = azurerm_cognitive_account.this.id
}

output "host" {
  description = "The name clients use, and l4fwd's upstream."
  value       = "${var.name}.openai.azure.com"
}

output "upstream" {
  description = "HOST:PORT for l4fwd."
  value       = "${var.name}.openai.azure.com:443"
}

output "private_ip" {
  description = "Address of the private endpoint: l4fwd's upstream in the VPN variant, with the public name as its backup."
  value       = one([for e in azurerm_private_endpoint.openai : e.private_service_connection[0].private_ip_address])
}

output "identity_principal_id" {
  value = azurerm_user_assigned_identity.this.principal_id
}

output "vnet_id" {
  value = local.vnet_id
}

output "search_link_approval" {
  description = "Lists the pending connection of AI Search on the account, to be approved once."
  value       = var.search == null ? null : "az network private-endpoint-connection list --id ${azurerm_cognitive_account.this.id} --output table"
}

output "log_analytics_workspace_id" {
  value = local.workspace_id
}
