variable "name" {
  description = "Name of the connectivity configuration and of the network policy. A change makes another of both, with a new endpoint to accept."
  type        = string
  default     = "l4fwd"

  validation {
    condition     = can(regex("^[0-9a-zA-Z_-]{3,30}$", var.name))
    error_message = "name: 3 to 30 letters, digits, '-' and '_'."
  }
}

variable "region" {
  description = "Region of the workspaces and of the endpoint service, for example us-west-2. The three have to agree. A change makes everything anew."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: an AWS region such as us-west-2."
  }
}

variable "network_connectivity_config_id" {
  description = "An existing connectivity configuration of the region (an account has 10 a region at most); null makes one. A change makes the rule anew, with a new endpoint to accept."
  type        = string
  default     = null
}

variable "endpoint_service" {
  description = "Output endpoint_service_name of the AWS module. A change makes the rule anew, with a new endpoint to accept."
  type        = string

  validation {
    condition     = can(regex("^com\\.amazonaws\\.vpce\\.[a-z0-9-]+\\.vpce-svc-[0-9a-f]{8,17}$", var.endpoint_service))
    error_message = "endpoint_service: com.amazonaws.vpce.REGION.vpce-svc-0123456789abcdef0, the service's name and not its id."
  }
  validation {
    condition     = startswith(var.endpoint_service, "com.amazonaws.vpce.${var.region}.")
    error_message = "endpoint_service: lies in another region than region."
  }
}

variable "domain_names" {
  description = "Names that serverless compute resolves to the endpoint: output domain_names of the Azure module. 10 at most a rule."
  type        = list(string)

  validation {
    condition     = length(var.domain_names) >= 1 && length(var.domain_names) <= 10 && length(distinct(var.domain_names)) == length(var.domain_names)
    error_message = "domain_names: 1 to 10 different names, Databricks takes no more for a rule; make a second module instance for further ones."
  }
  validation {
    condition     = alltrue([for d in var.domain_names : can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", d))])
    error_message = "domain_names: full host names in lower case, without scheme, port or wildcard, for example dais24-aoai-demo.openai.azure.com."
  }
}

variable "workspace_ids" {
  description = "Workspaces that use the configuration. A workspace has one: a binding takes the place of the one before, and taking a workspace out unbinds it. 50 at most."
  type        = set(number)
  default     = []

  validation {
    condition     = length(var.workspace_ids) <= 50
    error_message = "workspace_ids: 50 at most for a connectivity configuration."
  }
}

variable "network_policy" {
  description = <<-EOT
    Restricts what serverless compute of the workspaces may reach; null leaves their policy alone. internet_destinations: names beside
    domain_names. storage: buckets. enforced: false only logs what would have been refused: begin with that. id: name of the policy, a
    change makes another one. existing_id: a policy that is there already is bound to the workspaces instead, and never changed: its owner
    adds domain_names to it.
  EOT
  type = object({
    existing_id           = optional(string)
    id                    = optional(string)
    enforced              = optional(bool, false)
    internet_destinations = optional(list(string), [])
    storage = optional(list(object({
      bucket = string
      region = string
    })), [])
  })
  default = null

  validation {
    condition     = var.network_policy == null || try(length(var.network_policy.internet_destinations) + length(var.domain_names) <= 2000, false)
    error_message = "network_policy: 2000 internet destinations at most, domain_names included."
  }
  validation {
    condition     = var.network_policy == null || alltrue([for d in try(var.network_policy.internet_destinations, [""]) : can(regex("^(\\*\\.)?([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", d))])
    error_message = "network_policy: internet_destinations are host names in lower case, without scheme or port."
  }
  validation {
    condition     = try(var.network_policy.existing_id, null) == null || try(var.network_policy.id == null && !var.network_policy.enforced && length(var.network_policy.internet_destinations) + length(var.network_policy.storage) == 0, false)
    error_message = "network_policy: existing_id stands alone: what a policy of somebody else allows is not changed from here."
  }
  validation {
    condition     = var.network_policy == null || try(var.network_policy.id, null) != "default-policy"
    error_message = "network_policy: default-policy is the account's own and applies to every workspace without one; choose another id."
  }
}
