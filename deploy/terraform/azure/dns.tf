# Private names of the endpoints: a zone for each domain that the accounts' kinds need, and for AI Search.

locals {
  zones = { openai = "privatelink.openai.azure.com", cognitiveservices = "privatelink.cognitiveservices.azure.com",
  "services.ai" = "privatelink.services.ai.azure.com", search = "privatelink.search.windows.net" }

  needed_zones = local.private ? setunion(toset(flatten(values(local.domains))), var.search != null ? ["search"] : []) : toset([])
  given_zones = local.private ? merge(
    try(var.private_endpoint.dns_zone_id, null) != null ? { openai = var.private_endpoint.dns_zone_id } : {},
    try(var.private_endpoint.dns_zone_ids, {}),
  ) : {}
  zone_ids = merge({ for z, zone in azurerm_private_dns_zone.this : z => zone.id }, local.given_zones)
}

resource "azurerm_private_dns_zone" "this" {
  for_each            = setsubtract(local.needed_zones, keys(local.given_zones))
  name                = local.zones[each.key]
  resource_group_name = local.resource_group
  tags                = var.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "this" {
  for_each             = azurerm_private_dns_zone.this
  name                 = each.key == "openai" ? "${var.name}-link" : "${var.name}-${replace(each.key, ".", "-")}-link"
  private_dns_zone_id  = each.value.id
  virtual_network_id   = local.vnet_id
  registration_enabled = false
  tags                 = var.tags
}

resource "azurerm_private_dns_a_record" "openai" {
  for_each            = { for key, h in local.hosts : key => h if local.private }
  name                = each.value.name
  private_dns_zone_id = local.zone_ids[each.value.domain]
  ttl                 = 10
  records             = local.records[each.key]
  tags                = var.tags
}

resource "azurerm_private_dns_a_record" "search" {
  count               = local.private && var.search != null ? 1 : 0
  name                = var.search.name
  private_dns_zone_id = local.zone_ids["search"]
  ttl                 = 10
  records             = [azurerm_private_endpoint.search[0].private_service_connection[0].private_ip_address]
  tags                = var.tags
}
