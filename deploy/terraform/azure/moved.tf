# Where earlier versions of this module kept the one account and what belongs to it.

moved {
  from = azurerm_cognitive_account.this
  to   = azurerm_cognitive_account.this["main"]
}
moved {
  from = azurerm_private_endpoint.openai[0]
  to   = azurerm_private_endpoint.openai["main"]
}
moved {
  from = azurerm_private_dns_zone.openai[0]
  to   = azurerm_private_dns_zone.this["openai"]
}
moved {
  from = azurerm_private_dns_zone_virtual_network_link.openai[0]
  to   = azurerm_private_dns_zone_virtual_network_link.this["openai"]
}
moved {
  from = azurerm_private_dns_a_record.openai[0]
  to   = azurerm_private_dns_a_record.openai["main/openai"]
}
moved {
  from = azurerm_monitor_diagnostic_setting.openai
  to   = azurerm_monitor_diagnostic_setting.openai["main"]
}
moved {
  from = azurerm_search_shared_private_link_service.openai[0]
  to   = azurerm_search_shared_private_link_service.openai["main"]
}
moved {
  from = azurerm_role_assignment.search[0]
  to   = azurerm_role_assignment.search["main"]
}
moved {
  from = azurerm_role_assignment.openai_storage[0]
  to   = azurerm_role_assignment.openai_storage["main"]
}
