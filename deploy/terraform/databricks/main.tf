# All of it needs a provider of the account (host accounts.cloud.databricks.com, account_id), handed in through providers.

resource "databricks_mws_network_connectivity_config" "this" {
  count  = var.network_connectivity_config_id == null ? 1 : 0
  name   = var.name
  region = var.region
}

locals {
  ncc_id = var.network_connectivity_config_id != null ? var.network_connectivity_config_id : databricks_mws_network_connectivity_config.this[0].network_connectivity_config_id
}

# CREATING → PENDING; once the endpoint service's owner accepts the connection, ESTABLISHED. Only then does it carry traffic.
# 14 days without an answer: EXPIRED, and the rule has to be made anew.
resource "databricks_mws_ncc_private_endpoint_rule" "this" {
  network_connectivity_config_id = local.ncc_id
  endpoint_service               = var.endpoint_service
  domain_names                   = var.domain_names
}

resource "databricks_mws_ncc_binding" "this" {
  for_each                       = toset([for id in var.workspace_ids : tostring(id)])
  network_connectivity_config_id = local.ncc_id
  workspace_id                   = tonumber(each.key)
}

resource "databricks_account_network_policy" "this" {
  count             = var.network_policy != null && try(var.network_policy.existing_id, null) == null ? 1 : 0
  network_policy_id = coalesce(var.network_policy.id, "${var.name}-egress")

  egress = {
    network_access = {
      restriction_mode = "RESTRICTED_ACCESS"

      # The endpoint's names too: whether a private endpoint rule alone opens them is not documented.
      allowed_internet_destinations = [for d in distinct(concat(var.domain_names, var.network_policy.internet_destinations)) : {
        destination               = d
        internet_destination_type = "DNS_NAME"
      }]

      allowed_storage_destinations = length(var.network_policy.storage) == 0 ? null : [for s in var.network_policy.storage : {
        bucket_name              = s.bucket
        region                   = s.region
        storage_destination_type = "AWS_S3"
      }]

      policy_enforcement = {
        enforcement_mode = var.network_policy.enforced ? "ENFORCED" : "DRY_RUN"
      }
    }
  }
}

resource "databricks_workspace_network_option" "this" {
  for_each          = var.network_policy != null ? toset([for id in var.workspace_ids : tostring(id)]) : toset([])
  workspace_id      = tonumber(each.key)
  network_policy_id = local.policy_id
}

locals {
  policy_id = try(coalesce(var.network_policy.existing_id), databricks_account_network_policy.this[0].network_policy_id, null)
}
