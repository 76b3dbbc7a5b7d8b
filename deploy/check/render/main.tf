# The parts of the AWS module that render text, without a provider: variables*.tf, config.tf and templates/ are copied beside this
# file.
locals {
  region = "us-west-2"
  nat    = var.egress == "nat_gateway"
}

output "config_yaml" {
  value = local.config_yaml
}

output "user_data" {
  value = local.user_data
}
