# Databricks serverless → PrivateLink → load balancer → l4fwd → Azure OpenAI, in one state. docs/DEPLOY.md walks through it.

module "aws" {
  source = "../../aws"

  name         = var.name
  artifact     = var.artifact
  size         = var.size
  pool_size    = var.pool_size
  listen_ports = var.listen_ports
  upstreams    = local.upstreams
  config       = var.config

  public_address_at_boot = var.public_address_at_boot

  # VPN variant: the gateway you attached to this VPC; see docs/DEPLOY.md.
  vpn_gateway_id = var.vpn == null ? null : var.vpn.gateway_id
  vpc_cidr       = var.vpc_cidr

  accept_vpc_endpoints = var.accept_databricks ? { databricks = module.databricks.vpc_endpoint_id } : {}
  alarm_emails         = var.alarm_emails
}

module "azure" {
  source = "../../azure"

  name        = var.openai_name
  location    = var.azure_location
  deployments = var.deployments

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
  domain_names     = [local.host]
  workspace_ids    = var.workspace_ids
  network_policy   = var.network_policy
}

locals {
  # From the name alone, not from module.azure: the account waits for the pool, which must not wait for the account.
  host = "${var.openai_name}.openai.azure.com"

  # With a VPN the private address is the way, and the public name what is left when it fails.
  upstreams = [merge(
    { name = "aoai" },
    var.vpn == null ? { address = "${local.host}:443", backups = [] } : { address = "${var.vpn.private_ip}:443", backups = ["${local.host}:443"] },
  )]
}
