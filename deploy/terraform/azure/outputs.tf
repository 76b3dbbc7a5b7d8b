output "resource_group_name" {
  description = "Resource group of all that this module makes."
  value       = local.resource_group
}

output "account_id" {
  description = "Resource id of the first account."
  value       = azurerm_cognitive_account.this["main"].id
}

output "account_ids" {
  description = "Resource ids by account name."
  value       = { for a in azurerm_cognitive_account.this : a.name => a.id }
}

output "keys" {
  description = "First key by account name, null for accounts that take no keys. For value_wo of azurerm_key_vault_secret, which keeps it out of the state."
  value       = { for key, a in azurerm_cognitive_account.this : a.name => a.local_auth_enabled ? a.primary_access_key : null }
  sensitive   = true
}

output "host" {
  description = "The name most clients use: NAME.openai.azure.com of the first account."
  value       = "${var.name}.openai.azure.com"
}

output "upstream" {
  description = "HOST:PORT of host, for l4fwd --upstream."
  value       = "${var.name}.openai.azure.com:443"
}

output "domain_names" {
  description = "Every name of every account: domain_names of the Databricks module, which takes 10 a rule."
  value       = [for h in local.hosts : h.host]
}

output "upstreams" {
  description = "upstreams of the AWS module: each name its own upstream and route, so that no account is reached by way of another's name."
  value = [for key, h in local.hosts : {
    name    = h.upstream
    address = "${try(local.private_ips[key], h.host)}:443"
    backups = can(local.private_ips[key]) && local.public[h.account] ? ["${h.host}:443"] : []
    sni     = [h.host]
  }]
}

output "targets" {
  description = "HOST:PORT of every name, and of AI Search: for l4fwd doctor --target."
  value       = concat([for h in local.hosts : "${h.host}:443"], var.search != null ? ["${var.search.name}.search.windows.net:443"] : [])
}

output "private_ip" {
  description = "Address of the first account's private endpoint for host, null without one."
  value       = try(local.records[contains(local.domains["main"], "openai") ? "main/openai" : keys(local.records)[0]][0], null)
}

output "private_ips" {
  description = "Addresses of the private endpoints by name, empty without any."
  value       = { for key, ips in local.records : local.hosts[key].host => ips[0] }
}

output "identity_principal_id" {
  description = "Principal of the user-assigned identity, which every account has beside its own."
  value       = azurerm_user_assigned_identity.this.principal_id
}

output "vnet_id" {
  description = "The virtual network with the private endpoints, null without any."
  value       = local.vnet_id
}

output "search_principal_id" {
  description = "Principal of AI Search's managed identity: what a custom skill looks for in the claim oid of its caller's token."
  value       = one(azurerm_search_service.this[*].identity[0].principal_id)
}

output "search_link_approval" {
  description = "Lists the pending connections of AI Search on the accounts, to be approved once. Null where search is a trusted service instead."
  value       = local.search_link ? join("\n", [for a in azurerm_cognitive_account.this : "az network private-endpoint-connection list --id ${a.id} --output table"]) : null
}

output "log_analytics_workspace_id" {
  description = "Where diagnostics go."
  value       = local.workspace_id
}
