# The private way in: an endpoint for each account, and who may use it.

locals {
  private  = var.private_endpoint != null
  own_vnet = local.private && try(var.private_endpoint.vnet_id, null) == null

  vnet_id            = local.own_vnet ? azurerm_virtual_network.this[0].id : try(var.private_endpoint.vnet_id, null)
  endpoint_subnet_id = local.own_vnet ? azurerm_subnet.endpoint[0].id : try(var.private_endpoint.endpoint_subnet_id, null)

  # What the endpoints have: Azure tells an address for each name, a fixed address is known before.
  told    = { for account, e in azurerm_private_endpoint.openai : account => { for c in e.custom_dns_configs : c.fqdn => c.ip_addresses } }
  records = { for key, h in local.hosts : key => try([local.private_ips[key]], local.told[h.account][h.host], [azurerm_private_endpoint.openai[h.account].private_service_connection[0].private_ip_address]) if local.private }
  endpoint_ips = distinct(concat(flatten(values(local.records)),
  [for e in concat(values(azurerm_private_endpoint.openai), azurerm_private_endpoint.search) : e.private_service_connection[0].private_ip_address]))
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

# Endpoints lie where the network is, not where their account is.
resource "azurerm_private_endpoint" "openai" {
  for_each            = { for account, a in local.accounts : account => a.name if local.private }
  name                = "${each.value}-pe"
  resource_group_name = local.resource_group
  location            = var.location
  subnet_id           = local.endpoint_subnet_id
  tags                = var.tags

  private_service_connection {
    name                           = "${each.value}-pe"
    private_connection_resource_id = azurerm_cognitive_account.this[each.key].id
    subresource_names              = ["account"]
    is_manual_connection           = false
  }

  dynamic "ip_configuration" {
    for_each = lookup(local.fixed, each.key, {})
    content {
      name               = ip_configuration.key == "default" ? "fixed" : "fixed-${ip_configuration.key}"
      private_ip_address = ip_configuration.value
      subresource_name   = "account"
      member_name        = ip_configuration.key
    }
  }
}

resource "azurerm_network_security_group" "endpoint" {
  count               = local.own_vnet ? 1 : 0
  name                = "${var.name}-backend"
  resource_group_name = local.resource_group
  location            = var.location
  tags                = var.tags
}

resource "azurerm_network_security_rule" "allow_apps" {
  count                        = local.own_vnet ? 1 : 0
  name                         = "allow-apps-to-openai-https"
  resource_group_name          = local.resource_group
  network_security_group_name  = azurerm_network_security_group.endpoint[0].name
  priority                     = 150
  direction                    = "Inbound"
  access                       = "Allow"
  protocol                     = "Tcp"
  source_address_prefixes      = concat([var.private_endpoint.apps_prefix], var.private_endpoint.sources)
  source_port_range            = "*"
  destination_address_prefixes = [for ip in local.endpoint_ips : "${ip}/32"]
  destination_port_range       = "443"
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
