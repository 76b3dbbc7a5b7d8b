# AI Search: its own private endpoint, its way to the models, and the roles of both on each other and on the storage.

locals {
  # Tiers whose skillsets run in a private environment: only there a shared private link to a model is of use.
  link_skus   = ["standard2", "standard3", "storage_optimized_l1", "storage_optimized_l2"]
  search_link = var.search == null ? false : contains(local.link_skus, var.search.sku)
}

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
  network_rule_bypass_option    = "AzureServices" # Azure OpenAI searches by its managed identity ("on your data")
  semantic_search_sku           = var.search.semantic_ranking
  local_authentication_enabled  = var.search.local_auth_enabled
  authentication_failure_mode   = var.search.local_auth_enabled ? "http403" : null # with it, roles count beside keys
  tags                          = var.tags

  identity {
    type = "SystemAssigned"
  }
}

resource "azurerm_private_endpoint" "search" {
  count               = local.private && var.search != null ? 1 : 0
  name                = "${var.search.name}-pe"
  resource_group_name = local.resource_group
  location            = var.location
  subnet_id           = local.endpoint_subnet_id
  tags                = var.tags

  private_service_connection {
    name                           = "${var.search.name}-pe"
    private_connection_resource_id = azurerm_search_service.this[0].id
    subresource_names              = ["searchService"]
    is_manual_connection           = false
  }

  dynamic "ip_configuration" {
    for_each = var.search.private_ip != null ? [var.search.private_ip] : []
    content {
      name               = "fixed"
      private_ip_address = ip_configuration.value
      subresource_name   = "searchService"
      member_name        = "searchService"
    }
  }
}

# Somebody has to approve it (output search_link_approval). On other tiers search reaches an account as a trusted service.
resource "azurerm_search_shared_private_link_service" "openai" {
  for_each           = { for account, a in local.accounts : account => a.name if local.search_link }
  name               = "${each.value}-openai"
  search_service_id  = azurerm_search_service.this[0].id
  subresource_name   = "openai_account"
  target_resource_id = azurerm_cognitive_account.this[each.key].id
  request_message    = "AI Search ${var.search.name} calls the models"
}

# Search calls the models as itself.
resource "azurerm_role_assignment" "search" {
  for_each             = { for account, a in local.accounts : account => a.name if var.search != null }
  scope                = azurerm_cognitive_account.this[each.key].id
  role_definition_name = "Cognitive Services OpenAI User"
  principal_id         = azurerm_search_service.this[0].identity[0].principal_id
}

# And the accounts search as themselves: read the index, and look up how it is made.
resource "azurerm_role_assignment" "openai_search" {
  for_each = var.search == null ? {} : { for pair in setproduct(keys(local.accounts), ["Search Index Data Reader", "Search Service Contributor"]) :
  "${pair[0]}/${pair[1]}" => { account = pair[0], role = pair[1] } }
  scope                = azurerm_search_service.this[0].id
  role_definition_name = each.value.role
  principal_id         = azurerm_cognitive_account.this[each.value.account].identity[0].principal_id
}
