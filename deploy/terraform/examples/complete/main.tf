# Databricks serverless → PrivateLink → load balancer → l4fwd → Azure OpenAI, in one state. docs/DEPLOY.md walks through it.

module "aws" {
  source = "../../aws"

  name         = var.name
  artifact     = var.artifact
  size         = var.size
  pool_size    = var.pool_size
  listen_ports = var.listen_ports

  forward_ports       = var.forward_ports
  secondary_addresses = var.secondary_addresses

  upstreams = local.upstreams
  config    = var.config

  public_address_at_boot = var.public_address_at_boot

  # VPN variant: the gateway you attached to this VPC; see docs/DEPLOY.md.
  vpn_gateway_id = var.vpn == null ? null : var.vpn.gateway_id
  vpc_cidr       = var.vpc_cidr

  accept_vpc_endpoints = var.accept_databricks ? { databricks = module.databricks.vpc_endpoint_id } : {}
  alarm_emails         = var.alarm_emails
}

module "azure" {
  source = "../../azure"

  name         = var.openai_name
  location     = var.azure_location
  kind         = var.openai_kind
  domains      = var.openai_domains
  deployments  = var.deployments
  openai_users = var.openai_users
  accounts     = var.accounts

  # Entra ID alone, unless a vault is there for keys.
  local_auth_enabled = var.key_vault != null

  # The addresses l4fwd leaves from, and no others.
  ip_rules = module.aws.ip_rules

  private_endpoint = var.vpn == null ? null : {
    private_ip      = var.vpn.private_ip
    address_space   = var.vpn.address_space
    apps_prefix     = var.vpn.apps_prefix
    endpoint_prefix = var.vpn.endpoint_prefix
    sources         = [var.vpc_cidr]
  }
}

module "databricks" {
  source    = "../../databricks"
  providers = { databricks = databricks.account }

  name             = var.name
  region           = var.region
  endpoint_service = module.aws.endpoint_service_name
  domain_names     = module.azure.domain_names
  workspace_ids    = var.workspace_ids
  network_policy   = local.network_policy
}

locals {
  # Each name of each account, with a route of its own. They follow from the variables alone: no account is waited for. What upstreams
  # of the AWS module takes beside these goes in here, for example { check = { type = "tls" } }.
  upstreams = [for u in module.azure.upstreams : merge(u, {})]

  # Compute that asks Entra ID for a token does so directly, not by way of the forwarder.
  network_policy = var.network_policy == null ? null : merge(var.network_policy, {
    for key, destinations in { internet_destinations = distinct(concat(try(var.network_policy.internet_destinations, []), ["login.microsoftonline.com"])) } :
    key => destinations if try(var.network_policy.existing_id, null) == null
  })
}
