# Keys for callers that cannot use Entra ID. value_wo is written to the vault and kept in no state. The accounts themselves are another matter:
# as long as they take keys, the azurerm provider keeps both of them in the state, so that it has to be guarded like the vault.
resource "azurerm_key_vault_secret" "key" {
  for_each         = toset(var.key_vault == null ? [] : concat([var.openai_name], keys(var.accounts)))
  name             = "${each.key}-key"
  key_vault_id     = var.key_vault.id
  value_wo         = module.azure.keys[each.key]
  value_wo_version = var.key_vault.version
  content_type     = "key of the account ${each.key}"
}
