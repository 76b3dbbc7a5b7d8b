variable "name" {
  description = "Name of the Azure OpenAI account, and its subdomain: NAME.openai.azure.com. Unique in the world; what else is made is named after it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$", var.name))
    error_message = "name: 2 to 64 lower-case letters, digits and dashes, as the subdomain of openai.azure.com takes them."
  }
}

variable "resource_group_name" {
  description = "An existing resource group; null makes one."
  type        = string
  default     = null
}

variable "location" {
  description = "Region of the account, for example eastus2."
  type        = string
}

variable "tags" {
  type    = map(string)
  default = {}
}

variable "ip_rules" {
  description = "Who may reach the public address: the pool of Elastic IPs, output ip_rules of the AWS module. Plain addresses."
  type        = list(string)

  validation {
    condition     = alltrue([for r in var.ip_rules : can(regex("^([0-9]{1,3}\\.){3}[0-9]{1,3}(/([0-9]|[12][0-9]|30))?$", r)) && can(cidrhost(strcontains(r, "/") ? r : "${r}/32", 0))])
    error_message = "ip_rules: IPv4 addresses, or ranges of /30 and larger: Azure refuses /31 and /32, write the plain address instead."
  }
  validation {
    condition = !anytrue([for r in var.ip_rules : can(regex(
    "^(10\\.|127\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|169\\.254\\.|100\\.(6[4-9]|[7-9][0-9]|1[01][0-9]|12[0-7])\\.)", r))])
    error_message = "ip_rules: public addresses only, private ones never reach Azure's firewall. In the VPN variant leave out the private side."
  }
  validation {
    condition     = length(distinct(var.ip_rules)) == length(var.ip_rules) && length(var.ip_rules) <= 100
    error_message = "ip_rules: 100 different ones at most."
  }
}

variable "sku_name" {
  type    = string
  default = "S0"
}

variable "local_auth_enabled" {
  description = "Whether API keys are accepted beside Entra ID. false: identities only."
  type        = bool
  default     = true
}

variable "public_network_access_enabled" {
  description = "Must be true for ip_rules to matter. false: the private endpoint is the only way in (VPN variant without a backup)."
  type        = bool
  default     = true

  validation {
    condition     = var.public_network_access_enabled || var.private_endpoint != null
    error_message = "public_network_access_enabled: false without a private_endpoint leaves no way to the account."
  }
}

variable "deployments" {
  description = "Models by deployment name. capacity: thousands of tokens a minute."
  type = map(object({
    model    = string
    version  = string
    sku      = optional(string, "Standard")
    capacity = optional(number, 10)
    upgrade  = optional(string, "OnceNewDefaultVersionAvailable")
  }))
  default = {}

  validation {
    condition     = alltrue([for d in values(var.deployments) : d.capacity >= 1])
    error_message = "deployments: capacity is 1 or more, in thousands of tokens a minute."
  }
  validation {
    condition     = alltrue([for d in values(var.deployments) : contains(["OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"], d.upgrade)])
    error_message = "deployments: upgrade is OnceNewDefaultVersionAvailable, OnceCurrentVersionExpired or NoAutoUpgrade."
  }
}

variable "openai_users" {
  description = "Principals (object ids) by a name of your choice that may call the models with Entra ID: Cognitive Services OpenAI User."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for id in values(var.openai_users) : can(regex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", id))])
    error_message = "openai_users: object ids, 00000000-0000-0000-0000-000000000000."
  }
}
