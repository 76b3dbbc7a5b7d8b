# AI Search reaches the account over a private link of its own, which somebody has to approve (output search_link_approval).

resource "azurerm_search_service" "this" {
  count                         = var.search != null ? 1 : 0
  name                          = var.search.name
  resource_group_name           = local.resource_group
  location                      = var.location
  sku                           = var.search.sku
  replica_count                 = var.search.replica_count
  partition_count               = var.search.partition_count
  public_network_access_enabled = var.search.public_access
  allowed_ips                   = var.search.allowed_ips
  network_rule_bypass_option    = "AzureServices"
  semantic_search_sku           = var.search.semantic_ranking
  tags                          = var.tags

  identity {
    type = "SystemAssigned"
  }
}

resource "azurerm_search_shared_private_link_service" "openai" {
  count              = var.search != null ? 1 : 0
  name               = "${var.name}-openai"
  search_service_id  = azurerm_search_service.this[0].id
  subresource_name   = "openai_account"
  target_resource_id = azurerm_cognitive_account.this.id
  request_message    = "AI Search ${var.search.name} calls the models"
}

resource "azurerm_role_assignment" "search" {
  count                = var.search != null ? 1 : 0
  scope                = azurerm_cognitive_account.this.id
  role_definition_name = "Cognitive Services OpenAI User"
  principal_id         = azurerm_search_service.this[0].identity[0].principal_id
}
