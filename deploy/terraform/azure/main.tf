resource "azurerm_resource_group" "this" {
  count    = var.resource_group_name == null ? 1 : 0
  name     = "${var.name}-rg"
  location = var.location
  tags     = var.tags
}

resource "azurerm_user_assigned_identity" "this" {
  name                = "${var.name}-identity"
  resource_group_name = local.resource_group
  location            = var.location
  tags                = var.tags
}

resource "azurerm_cognitive_account" "this" {
  for_each                      = local.accounts
  name                          = each.value.name
  resource_group_name           = local.resource_group
  location                      = each.value.location
  kind                          = each.value.kind
  sku_name                      = each.value.sku_name
  custom_subdomain_name         = each.value.name # network_acls and Entra ID need it; clients keep this name
  project_management_enabled    = each.value.kind == "AIServices"
  local_auth_enabled            = each.value.local_auth_enabled
  public_network_access_enabled = each.value.public_network_access_enabled
  tags                          = var.tags

  identity {
    type         = "SystemAssigned, UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.this.id]
  }

  # Without Deny the rules would have no effect. AzureServices lets AI Search in by its managed identity.
  network_acls {
    default_action = "Deny"
    bypass         = "AzureServices"
    ip_rules       = each.value.ip_rules
  }

  lifecycle {
    # Microsoft upgrades accounts of kind OpenAI to AIServices by itself, and enables project management with it. To set the kind back
    # would undo the upgrade; to set project management back would replace the account, name and deployments included.
    ignore_changes = [kind, project_management_enabled]
  }
}

resource "azurerm_cognitive_deployment" "this" {
  for_each               = local.deployments
  name                   = each.value.name
  cognitive_account_id   = azurerm_cognitive_account.this[each.value.account].id
  version_upgrade_option = each.value.upgrade

  model {
    format  = each.value.format
    name    = each.value.model
    version = each.value.version
  }

  sku {
    name     = each.value.sku
    capacity = each.value.capacity
  }
}

resource "azurerm_role_assignment" "users" {
  for_each             = local.users
  scope                = azurerm_cognitive_account.this[each.value.account].id
  role_definition_name = "Cognitive Services OpenAI User"
  principal_id         = each.value.principal
}
