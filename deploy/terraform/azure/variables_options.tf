variable "private_endpoint" {
  description = <<-EOT
    A private address of each account (and of AI Search) in a VNet: for applications in Azure and for the VPN variant. Makes the VNet with two
    subnets (applications, endpoints), or uses yours: vnet_id with endpoint_subnet_id. NSG rules let only sources reach them on 443.
    sources: ranges beside the applications' subnet, for example the AWS VPC's in the VPN variant.
    private_ip: fixed address in the endpoints' subnet for the first account, for l4fwd's upstream; null: dynamic. An account of kind
    AIServices has three, this and the next two: for NAME.cognitiveservices, NAME.openai and NAME.services.ai.
    dns_zone_ids: your private zones, by openai, cognitiveservices, services.ai or search; those left out are made and linked to the VNet.
    dns_zone_id: the same for openai alone.
    A change of ranges, private_ip or VNet makes the endpoints anew, and who uses them waits meanwhile.
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
    dns_zone_ids       = optional(map(string), {})
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
    condition     = var.private_endpoint == null || try(var.private_endpoint.private_ip, null) == null || try(can(cidrhost("${var.private_endpoint.private_ip}/32", 0)) && tonumber(split(".", var.private_endpoint.private_ip)[3]) <= 253, false)
    error_message = "private_endpoint: private_ip is an IPv4 address of the endpoints' subnet that ends with 253 at most, since an account of kind AIServices takes the next two as well."
  }
  validation {
    condition     = var.private_endpoint == null || length(setsubtract(keys(try(var.private_endpoint.dns_zone_ids, {})), ["openai", "cognitiveservices", "services.ai", "search"])) == 0
    error_message = "private_endpoint: the keys of dns_zone_ids are openai, cognitiveservices, services.ai and search."
  }
}

variable "search" {
  description = <<-EOT
    AI Search: its private endpoint where private_endpoint is given, and its way to the models. From sku standard2 on by a shared private link
    (openai_account), which has to be approved on each account; below, where skillsets have no private environment, as a trusted service by its managed
    identity. public_access: whether its public address answers allowed_ips. local_auth_enabled: keys beside Entra ID.
    private_ip: fixed address in the endpoints' subnet. A change of name makes another service; of private_ip, its endpoint anew.
  EOT
  type = object({
    name               = string
    sku                = optional(string, "standard2")
    replica_count      = optional(number, 1)
    partition_count    = optional(number, 1)
    allowed_ips        = optional(list(string), [])
    public_access      = optional(bool, false)
    local_auth_enabled = optional(bool, true)
    semantic_ranking   = optional(string)
    private_ip         = optional(string)
  })
  default = null

  validation {
    condition     = var.search == null || try(contains(["basic", "standard", "standard2", "standard3", "storage_optimized_l1", "storage_optimized_l2"], var.search.sku), false)
    error_message = "search: sku is basic, standard, standard2, standard3, storage_optimized_l1 or storage_optimized_l2; the free one has neither a private endpoint nor an identity."
  }
  validation {
    condition     = var.search == null || try(length(var.search.allowed_ips) == 0 || var.search.public_access, false)
    error_message = "search: allowed_ips need public_access = true."
  }
  validation {
    condition     = var.search == null || var.private_endpoint != null || try(var.search.public_access, false)
    error_message = "search: without public_access and without a private_endpoint nobody reaches it; give private_endpoint, or public_access = true with allowed_ips."
  }
}

variable "storage" {
  description = "Storage account for data of one's own, closed but for trusted Azure services, ip_rules and subnets given here. A change of name makes another one."
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
  description = "Where diagnostics go; null makes a workspace. To name another one later takes the module's own away, with its logs."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days that the workspace this module makes keeps logs."
  type        = number
  default     = 30

  validation {
    condition     = var.log_retention_days >= 30 && var.log_retention_days <= 730
    error_message = "log_retention_days: 30 to 730."
  }
}
