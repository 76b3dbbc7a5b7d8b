variable "name" {
  description = "Name of everything this module makes, and the value of the pool's tag. Two copies in one account and region need two names. A change makes everything anew."
  type        = string
  default     = "l4fwd"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,21}[a-z0-9]$", var.name))
    error_message = "name: 3 to 23 lower-case letters, digits and dashes, begins with a letter: load balancer and target groups add up to 9 characters, and AWS allows them 32."
  }
}

variable "tags" {
  description = "Tags of every resource, the launched instances and their volumes included."
  type        = map(string)
  default     = {}
}

variable "upstreams" {
  description = <<-EOT
    Where connections go. address: HOST:PORT, the Azure OpenAI name and 443, or a private address in the VPN variant.
    backups: addresses used only while no primary one is usable. sni: server names that lead to this upstream; required
    of each when there are several, and with a single one it refuses every other name. The others are the keys of docs/CONFIG.md
    with these names, and its defaults where they are left out, for example { …, warm = { connections = 32 }, check = { type = "tls" } }.
  EOT
  type = list(object({
    name    = string
    address = string
    backups = optional(list(string), [])
    sni     = optional(list(string), [])

    balance         = optional(string)
    max_connections = optional(number)
    on_removed      = optional(string)
    send_proxy      = optional(string)
    admission       = optional(string)
    required        = optional(bool)

    connect = optional(object({ timeout = optional(string), attempts = optional(number) }))
    check   = optional(object({ type = optional(string), path = optional(string), interval = optional(string), timeout = optional(string), rise = optional(number), fall = optional(number) }))
    outlier = optional(object({ failures = optional(number), ejection = optional(string), max_ejected_percent = optional(number) }))
    warm    = optional(object({ connections = optional(number), max_idle = optional(string) }))
  }))

  validation {
    condition     = length(var.upstreams) > 0
    error_message = "upstreams: at least one is needed, for example [{ name = \"aoai\", address = \"NAME.openai.azure.com:443\" }]."
  }
  validation {
    condition = alltrue([for a in flatten([for u in var.upstreams : concat([u.address], u.backups)]) :
    can(regex("^[A-Za-z0-9.-]+:[0-9]{1,5}$", a)) && try(tonumber(element(split(":", a), 1)) >= 1 && tonumber(element(split(":", a), 1)) <= 65535, false)])
    error_message = "upstreams: address and backups are HOST:PORT without a scheme or path, for example \"NAME.openai.azure.com:443\"."
  }
  validation {
    condition     = length(distinct(var.upstreams[*].name)) == length(var.upstreams)
    error_message = "upstreams: names are used in logs and metrics and must differ."
  }
  validation {
    condition     = length(var.upstreams) <= 1 || alltrue([for u in var.upstreams : length(u.sni) > 0])
    error_message = "upstreams: with several, each needs sni, since the server name decides where a connection goes."
  }
}

variable "config" {
  description = "Further top-level keys of l4fwd.yaml (docs/CONFIG.md), beside those that the module renders, for example { log = { access = \"all\" } }."
  type        = any
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.config), ["listeners", "upstreams", "eip", "drain", "health"])) == 0
    error_message = "config: listeners, upstreams, eip, drain and health follow from the module's own variables; setting them here would let load balancer and forwarder disagree."
  }
}

variable "artifact" {
  description = <<-EOT
    The release to install: an .rpm, or a .tar.gz that holds l4fwd, l4fwd.service and optionally 60-l4fwd.conf (sysctl).
    source: s3://BUCKET/KEY, or an https:// URL, which only instances with a public address at boot can reach.
    sha256: its checksum; an instance whose download differs does not start.
    null: ami_id has l4fwd in it (deploy/ami makes such an image), and a boot fetches nothing.
  EOT
  type = object({
    source = string
    sha256 = string
  })
  default = null

  validation {
    condition     = var.artifact == null || can(regex("^(s3://[a-z0-9.-]{3,63}/|https://)[A-Za-z0-9._~/+=-]+\\.(rpm|tar\\.gz)$", var.artifact.source))
    error_message = "artifact.source: s3://BUCKET/KEY or https://HOST/PATH that ends with .rpm or .tar.gz, without a query."
  }
  validation {
    condition     = var.artifact == null || can(regex("^[0-9a-f]{64}$", var.artifact.sha256))
    error_message = "artifact.sha256: 64 lower-case hexadecimal digits, as sha256sum prints them."
  }
  validation {
    condition     = var.public_address_at_boot || var.egress == "nat_gateway" || var.artifact == null || try(startswith(var.artifact.source, "s3://"), false)
    error_message = "artifact.source: an https:// URL cannot be reached before the instance holds its Elastic IP; upload the release to S3 (reached through the gateway endpoint), or set public_address_at_boot = true."
  }
  validation {
    condition     = var.artifact != null || var.ami_id != null
    error_message = "artifact: without a release to install, ami_id names an image that has l4fwd in it."
  }
}
