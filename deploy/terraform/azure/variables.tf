variable "name" {
  description = "Name of the first account, and its subdomain: NAME.openai.azure.com. Unique in the world; what else is made is named after it. A change makes another account."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$", var.name))
    error_message = "name: 2 to 64 lower-case letters, digits and dashes, as the subdomain of openai.azure.com takes them."
  }
}

variable "kind" {
  description = <<-EOT
    What accounts are made as: AIServices (Foundry), or OpenAI; a change never touches an account that is there, so that one which
    Microsoft upgraded plans without a change. It also says which names and private zones an account has: OpenAI
    NAME.openai.azure.com; AIServices NAME.cognitiveservices.azure.com and NAME.services.ai.azure.com as well. An account made as OpenAI:
    keep OpenAI until its other names are wanted. With private_ip a change makes the private endpoint anew, and what uses it waits meanwhile.
  EOT
  type        = string
  default     = "AIServices"

  validation {
    condition     = contains(["OpenAI", "AIServices"], var.kind)
    error_message = "kind: OpenAI or AIServices."
  }
}

variable "domains" {
  description = <<-EOT
    Which of its names the first account is used by: openai, cognitiveservices, services.ai; null: all that its kind has. Each is an
    upstream and a route of l4fwd, and one of the 10 names that a rule of Databricks takes.
  EOT
  type        = list(string)
  default     = null

  validation {
    condition     = var.domains == null || try(length(var.domains) > 0 && length(distinct(var.domains)) == length(var.domains) && length(setsubtract(var.domains, var.kind == "OpenAI" ? ["openai"] : ["openai", "cognitiveservices", "services.ai"])) == 0, false)
    error_message = "domains: different ones of openai, cognitiveservices and services.ai; an account of kind OpenAI has openai alone."
  }
}

variable "accounts" {
  description = <<-EOT
    Further accounts by name, each with deployments, firewall and names of its own. What is left out is as for the first account (kind,
    location, sku_name, local_auth_enabled, public_network_access_enabled, ip_rules); domains: those of its kind. private_ip: fixed
    address of its private endpoint, for AIServices the first of three. A change of a key or location makes another account. A name that no
    account uses any more goes, with its private zone.
  EOT
  type = map(object({
    kind                          = optional(string)
    location                      = optional(string)
    sku_name                      = optional(string)
    domains                       = optional(list(string))
    local_auth_enabled            = optional(bool)
    public_network_access_enabled = optional(bool)
    ip_rules                      = optional(list(string))
    private_ip                    = optional(string)
    openai_users                  = optional(map(string), {})
    deployments = optional(map(object({
      model    = string
      version  = string
      format   = optional(string, "OpenAI")
      sku      = optional(string, "Standard")
      capacity = optional(number, 10)
      upgrade  = optional(string, "OnceNewDefaultVersionAvailable")
    })), {})
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.accounts) : can(regex("^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$", name)) && !contains(["main", var.name], name)])
    error_message = "accounts: keys are names of 2 to 64 lower-case letters, digits and dashes, neither main nor the name of the first account."
  }
  validation {
    condition     = alltrue([for a in values(var.accounts) : a.kind == null || try(contains(["OpenAI", "AIServices"], a.kind), false)])
    error_message = "accounts: kind is OpenAI or AIServices."
  }
  validation {
    condition = alltrue([for a in values(var.accounts) : a.domains == null || try(length(a.domains) > 0 && length(distinct(a.domains)) == length(a.domains) &&
    length(setsubtract(a.domains, coalesce(a.kind, var.kind) == "OpenAI" ? ["openai"] : ["openai", "cognitiveservices", "services.ai"])) == 0, false)])
    error_message = "accounts: domains are different ones of openai, cognitiveservices and services.ai; an account of kind OpenAI has openai alone."
  }
  validation {
    condition = alltrue([for a in values(var.accounts) : a.ip_rules == null || try(length(a.ip_rules) <= 100 && alltrue([for r in a.ip_rules :
    can(regex("^([0-9]{1,3}\\.){3}[0-9]{1,3}(/([0-9]|[12][0-9]|30))?$", r)) && can(cidrhost(strcontains(r, "/") ? r : "${r}/32", 0))]), false)])
    error_message = "accounts: ip_rules are 100 IPv4 addresses at most, or ranges of /30 and larger: Azure refuses /31 and /32."
  }
  validation {
    condition     = alltrue([for a in values(var.accounts) : a.private_ip == null || try(var.private_endpoint != null && tonumber(split(".", a.private_ip)[3]) <= 253 && can(cidrhost("${a.private_ip}/32", 0)), false)])
    error_message = "accounts: private_ip is an IPv4 address of the private endpoints' subnet that ends with 253 at most, and needs private_endpoint."
  }
  validation {
    condition     = alltrue([for a in values(var.accounts) : coalesce(a.public_network_access_enabled, var.public_network_access_enabled) || var.private_endpoint != null])
    error_message = "accounts: public_network_access_enabled = false without a private_endpoint leaves no way to the account."
  }
  validation {
    condition     = alltrue(flatten([for a in values(var.accounts) : [for d in values(a.deployments) : d.capacity >= 1 && contains(["OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"], d.upgrade)]]))
    error_message = "accounts: a deployment's capacity is 1 or more, its upgrade OnceNewDefaultVersionAvailable, OnceCurrentVersionExpired or NoAutoUpgrade."
  }
  validation {
    condition     = alltrue(flatten([for a in values(var.accounts) : [for id in values(a.openai_users) : can(regex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", id))]]))
    error_message = "accounts: openai_users are object ids, 00000000-0000-0000-0000-000000000000."
  }
}

variable "resource_group_name" {
  description = "An existing resource group; null makes one. A change makes everything anew: choose before the first apply."
  type        = string
  default     = null
}

variable "location" {
  description = "Region of the first account and of all else, for example eastus2. A change makes everything anew: choose before the first apply."
  type        = string
}

variable "tags" {
  description = "Tags of everything this module makes."
  type        = map(string)
  default     = {}
}

variable "ip_rules" {
  description = "Who may reach the public address: the pool of Elastic IPs, output ip_rules of the AWS module. Plain addresses, or ranges of /30 and larger."
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
  description = "Pricing tier of an account."
  type        = string
  default     = "S0"
}

variable "local_auth_enabled" {
  description = <<-EOT
    Whether API keys are accepted beside Entra ID. false: identities only. With true the provider reads both keys of an account and keeps
    them in the state, whatever uses them: with false there is no key to keep.
  EOT
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
  description = <<-EOT
    Models of the first account by deployment name. capacity: thousands of tokens a minute. format: OpenAI, or that of another model an AIServices account
    takes. version, capacity and upgrade change in place; another model, format or sku replaces the deployment, and requests to it fail meanwhile:
    add one of another name and move its users first.
  EOT
  type = map(object({
    model    = string
    version  = string
    format   = optional(string, "OpenAI")
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
