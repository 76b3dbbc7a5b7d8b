resource "azurerm_log_analytics_workspace" "this" {
  count               = var.log_analytics_workspace_id == null ? 1 : 0
  name                = "${var.name}-logs"
  resource_group_name = local.resource_group
  location            = var.location
  sku                 = "PerGB2018"
  retention_in_days   = var.log_retention_days
  tags                = var.tags
}

locals {
  workspace_id = var.log_analytics_workspace_id != null ? var.log_analytics_workspace_id : azurerm_log_analytics_workspace.this[0].id
}

# Audit and RequestResponse tell whose request the firewall refused, by address: compare with the pool.
resource "azurerm_monitor_diagnostic_setting" "openai" {
  for_each                   = local.accounts
  name                       = "${each.value.name}-diagnostics"
  target_resource_id         = azurerm_cognitive_account.this[each.key].id
  log_analytics_workspace_id = local.workspace_id

  enabled_log {
    category_group = "allLogs"
  }
  enabled_metric {
    category = "AllMetrics"
  }
}

resource "azurerm_monitor_diagnostic_setting" "search" {
  count                      = var.search != null ? 1 : 0
  name                       = "${var.name}-search-diagnostics"
  target_resource_id         = azurerm_search_service.this[0].id
  log_analytics_workspace_id = local.workspace_id

  enabled_log {
    category_group = "allLogs"
  }
  enabled_metric {
    category = "AllMetrics"
  }
}
