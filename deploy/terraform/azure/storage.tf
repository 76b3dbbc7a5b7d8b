resource "azurerm_storage_account" "this" {
  count                           = var.storage != null ? 1 : 0
  name                            = var.storage.name
  resource_group_name             = local.resource_group
  location                        = var.location
  account_tier                    = "Standard"
  account_replication_type        = var.storage.replication
  min_tls_version                 = "TLS1_2"
  https_traffic_only_enabled      = true
  allow_nested_items_to_be_public = false
  shared_access_key_enabled       = false # Entra ID only
  tags                            = var.tags

  network_rules {
    default_action             = "Deny"
    bypass                     = ["AzureServices"]
    ip_rules                   = var.storage.ip_rules
    virtual_network_subnet_ids = var.storage.subnet_ids
  }
}

# The accounts (and search, where there is one) reach the data as themselves, as trusted services.
resource "azurerm_role_assignment" "openai_storage" {
  for_each             = { for account, a in local.accounts : account => a.name if var.storage != null }
  scope                = azurerm_storage_account.this[0].id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_cognitive_account.this[each.key].identity[0].principal_id
}

resource "azurerm_role_assignment" "search_storage" {
  count                = var.storage != null && var.search != null ? 1 : 0
  scope                = azurerm_storage_account.this[0].id
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = azurerm_search_service.this[0].identity[0].principal_id
}
