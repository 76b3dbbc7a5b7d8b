variable "private_endpoint" {
  description = <<-EOT
    A private address of the account in a VNet: for applications in Azure and for the VPN variant. Makes the VNet with two subnets
    (applications, endpoint), or uses yours: vnet_id with endpoint_subnet_id. NSG rules let only sources reach it on 443.
    sources: ranges beside the applications' subnet, for example the AWS VPC's in the VPN variant.
    private_ip: fixed address in the endpoint's subnet, for l4fwd's upstream; null: dynamic.
  EOT
  type = object({
    address_space      = optional(string, "10.0.0.0/8")
    apps_prefix        = optional(string, "10.1.0.0/16")
    endpoint_prefix    = optional(string, "10.2.0.0/16")
    sources            = optional(list(string), [])
    private_ip         = optional(string)
    vnet_id            = optional(string)
    endpoint_subnet_id = optional(string)
    dns_zone_id        = optional(string)
  })
  default = null

  validation {
    condition     = var.private_endpoint == null || (try(var.private_endpoint.vnet_id, null) == null) == (try(var.private_endpoint.endpoint_subnet_id, null) == null)
    error_message = "private_endpoint: vnet_id and endpoint_subnet_id are given together, or neither."
  }
  validation {
    condition     = var.private_endpoint == null || alltrue([for c in concat(try(var.private_endpoint.sources, []), [try(var.private_endpoint.address_space, "-"), try(var.private_endpoint.apps_prefix, "-"), try(var.private_endpoint.endpoint_prefix, "-")]) : can(cidrhost(c, 0))])
    error_message = "private_endpoint: address_space, apps_prefix, endpoint_prefix and sources are ranges, for example 10.2.0.0/16."
  }
  validation {
    condition     = var.private_endpoint == null || try(var.private_endpoint.private_ip, null) == null || can(cidrhost("${var.private_endpoint.private_ip}/32", 0))
    error_message = "private_endpoint: private_ip is an IPv4 address of the endpoint's subnet."
  }
}

variable "search" {
  description = <<-EOT
    AI Search that calls the models over a shared private link (openai_account). Only with sku standard2 and up: skills need a private
    execution environment. The link has to be approved on the account.
  EOT
  type = object({
    name             = string
    sku              = optional(string, "standard2")
    replica_count    = optional(number, 1)
    partition_count  = optional(number, 1)
    allowed_ips      = optional(list(string), [])
    public_access    = optional(bool, false)
    semantic_ranking = optional(string)
  })
  default = null

  validation {
    condition     = var.search == null || contains(["standard2", "standard3", "storage_optimized_l1", "storage_optimized_l2"], try(var.search.sku, ""))
    error_message = "search: a shared private link to Azure OpenAI needs sku standard2, standard3, storage_optimized_l1 or storage_optimized_l2."
  }
  validation {
    condition     = var.search == null || try(length(var.search.allowed_ips) == 0 || var.search.public_access, false)
    error_message = "search: allowed_ips need public_access = true."
  }
}

variable "storage" {
  description = "Storage account for data of one's own, closed but for trusted Azure services, ip_rules and subnets given here."
  type = object({
    name        = string
    replication = optional(string, "ZRS")
    ip_rules    = optional(list(string), [])
    subnet_ids  = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.storage == null || can(regex("^[a-z0-9]{3,24}$", var.storage.name))
    error_message = "storage: name is 3 to 24 lower-case letters and digits."
  }
  validation {
    condition     = var.storage == null || try(contains(["LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"], var.storage.replication), false)
    error_message = "storage: replication is LRS, ZRS, GRS, RAGRS, GZRS or RAGZRS."
  }
}

variable "log_analytics_workspace_id" {
  description = "Where diagnostics go; null makes a workspace."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Of the workspace this module makes."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "log_retention_days: 30 to 730."
  }
}
