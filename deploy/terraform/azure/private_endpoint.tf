# The private way in, and who may use it.

locals {
  private  = var.private_endpoint != null
  own_vnet = local.private && try(var.private_endpoint.vnet_id, null) == null
  own_zone = local.private && try(var.private_endpoint.dns_zone_id, null) == null

  vnet_id            = local.own_vnet ? azurerm_virtual_network.this[0].id : try(var.private_endpoint.vnet_id, null)
  endpoint_subnet_id = local.own_vnet ? azurerm_subnet.endpoint[0].id : try(var.private_endpoint.endpoint_subnet_id, null)
  zone_id            = local.own_zone ? azurerm_private_dns_zone.openai[0].id : try(var.private_endpoint.dns_zone_id, null)
}

resource "azurerm_virtual_network" "this" {
  count               = local.own_vnet ? 1 : 0
  name                = "${var.name}-vnet"
  resource_group_name = local.resource_group
  location            = var.location
  address_space       = [var.private_endpoint.address_space]
  tags                = var.tags
}

resource "azurerm_subnet" "apps" {
  count                = local.own_vnet ? 1 : 0
  name                 = "sn-apps"
  resource_group_name  = local.resource_group
  virtual_network_name = azurerm_virtual_network.this[0].name
  address_prefixes     = [var.private_endpoint.apps_prefix]
}

resource "azurerm_subnet" "endpoint" {
  count                             = local.own_vnet ? 1 : 0
  name                              = "sn-backend"
  resource_group_name               = local.resource_group
  virtual_network_name              = azurerm_virtual_network.this[0].name
  address_prefixes                  = [var.private_endpoint.endpoint_prefix]
  private_endpoint_network_policies = "NetworkSecurityGroupEnabled" # else the NSG below is not applied to private endpoints
}

resource "azurerm_private_endpoint" "openai" {
  count               = local.private ? 1 : 0
  name                = "${var.name}-pe"
  resource_group_name = local.resource_group
  location            = var.location
  subnet_id           = local.endpoint_subnet_id
  tags                = var.tags

  private_service_connection {
    name                           = "${var.name}-pe"
    private_connection_resource_id = azurerm_cognitive_account.this.id
    subresource_names              = ["account"]
    is_manual_connection           = false
  }

  dynamic "ip_configuration" {
    for_each = var.private_endpoint.private_ip != null ? [var.private_endpoint.private_ip] : []
    content {
      name               = "fixed"
      private_ip_address = ip_configuration.value
      subresource_name   = "account"
      member_name        = "default"
    }
  }
}

resource "azurerm_private_dns_zone" "openai" {
  count               = local.own_zone ? 1 : 0
  name                = "privatelink.openai.azure.com"
  resource_group_name = local.resource_group
  tags                = var.tags
}

resource "azurerm_private_dns_a_record" "openai" {
  count               = local.private ? 1 : 0
  name                = var.name
  private_dns_zone_id = local.zone_id
  ttl                 = 10
  records             = [azurerm_private_endpoint.openai[0].private_service_connection[0].private_ip_address]
  tags                = var.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "openai" {
  count                = local.own_zone ? 1 : 0
  name                 = "${var.name}-link"
  private_dns_zone_id  = local.zone_id
  virtual_network_id   = local.vnet_id
  registration_enabled = false
  tags                 = var.tags
}

resource "azurerm_network_security_group" "endpoint" {
  count               = local.own_vnet ? 1 : 0
  name                = "${var.name}-backend"
  resource_group_name = local.resource_group
  location            = var.location
  tags                = var.tags
}

resource "azurerm_network_security_rule" "allow_apps" {
  count                       = local.own_vnet ? 1 : 0
  name                        = "allow-apps-to-openai-https"
  resource_group_name         = local.resource_group
  network_security_group_name = azurerm_network_security_group.endpoint[0].name
  priority                    = 150
  direction                   = "Inbound"
  access                      = "Allow"
  protocol                    = "Tcp"
  source_address_prefixes     = concat([var.private_endpoint.apps_prefix], var.private_endpoint.sources)
  source_port_range           = "*"
  destination_address_prefix  = "${azurerm_private_endpoint.openai[0].private_service_connection[0].private_ip_address}/32"
  destination_port_range      = "443"
}

# All protocols and ports; Azure's own allow rules for the virtual network have a lower priority (65000).
resource "azurerm_network_security_rule" "prevent_all" {
  count                       = local.own_vnet ? 1 : 0
  name                        = "prevent-all"
  resource_group_name         = local.resource_group
  network_security_group_name = azurerm_network_security_group.endpoint[0].name
  priority                    = 200
  direction                   = "Inbound"
  access                      = "Deny"
  protocol                    = "*"
  source_address_prefix       = "*"
  source_port_range           = "*"
  destination_address_prefix  = var.private_endpoint.endpoint_prefix
  destination_port_range      = "*"
}

resource "azurerm_subnet_network_security_group_association" "endpoint" {
  count                     = local.own_vnet ? 1 : 0
  subnet_id                 = azurerm_subnet.endpoint[0].id
  network_security_group_id = azurerm_network_security_group.endpoint[0].id

  # Closed only once the way in is allowed.
  depends_on = [azurerm_network_security_rule.allow_apps, azurerm_network_security_rule.prevent_all]
}
