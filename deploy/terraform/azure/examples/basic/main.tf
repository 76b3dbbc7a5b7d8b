provider "azurerm" {
  features {}
}

module "openai" {
  source = "../.."

  name               = "my-openai"
  location           = "westus3"
  ip_rules           = ["198.51.100.7", "198.51.100.8"] # the pool
  local_auth_enabled = false
  deployments        = { gpt-4o = { model = "gpt-4o", version = "2024-11-20" } }
}

output "domain_names" {
  description = "For the private endpoint rule."
  value       = module.openai.domain_names
}
