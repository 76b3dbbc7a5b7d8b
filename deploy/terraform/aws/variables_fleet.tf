variable "size" {
  description = "Instances: least, most, and at the start (the least where null). Scaling moves between them."
  type = object({
    min     = number
    max     = number
    desired = optional(number)
  })
  default = { min = 2, max = 4 }

  validation {
    condition     = var.size.min >= 1 && var.size.min <= var.size.max
    error_message = "size: 1 <= min <= max."
  }
  validation {
    condition     = var.size.desired == null || try(var.size.desired >= var.size.min && var.size.desired <= var.size.max, false)
    error_message = "size: desired lies between min and max."
  }
}

variable "surge" {
  description = "Instances beyond size.max while others are replaced; each needs an address of the pool before the leaver gives its own back."
  type        = number
  default     = 1

  validation {
    condition     = var.surge >= 1 && var.surge <= var.size.max && var.surge == floor(var.surge)
    error_message = "surge: 1 to size.max. Without any, a replacement would wait for the address of the instance it replaces."
  }
}

variable "pool_size" {
  description = "Elastic IPs in the pool; null: size.max + surge. An account has a quota of 5 a region unless raised. Azure's firewall takes 100 addresses at most. Lowering it gives addresses away: lower size.max first. Of no effect with NAT gateways."
  type        = number
  default     = null

  validation {
    condition     = var.pool_size == null || try(var.pool_size >= var.size.max + var.surge, false)
    error_message = "pool_size: at least size.max + surge, else an instance refresh waits for ever for a free address."
  }
  validation {
    condition     = coalesce(var.pool_size, var.size.max + var.surge) <= 100
    error_message = "pool_size: 100 at most, the number of ip_rules an Azure OpenAI account takes."
  }
}

variable "pool_tag_key" {
  description = "Key of the tag that makes an Elastic IP part of the pool; its value is name. Instances that run look for the former key until they are new."
  type        = string
  default     = "l4fwd-pool"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$", var.pool_tag_key)) && !startswith(lower(var.pool_tag_key), "aws:")
    error_message = "pool_tag_key: letters, digits, '_', '.', '-'; 128 characters at most."
  }
}

variable "public_ipv4_pool" {
  description = "Pool of your own public addresses (BYOIP) to take the Elastic IPs from. A change makes every address anew: choose before the first apply."
  type        = string
  default     = null
}

variable "ipam_pool_id" {
  description = "IPAM pool to take the Elastic IPs from: of yours (BYOIP) or a contiguous block of Amazon's. A change makes every address anew: choose before the first apply."
  type        = string
  default     = null

  validation {
    condition     = var.ipam_pool_id == null || can(regex("^ipam-pool-[0-9a-f]{8,17}$", var.ipam_pool_id))
    error_message = "ipam_pool_id: the id of a public IPAM pool, ipam-pool-0123456789abcdef0."
  }
  validation {
    condition     = var.ipam_pool_id == null || var.public_ipv4_pool == null
    error_message = "ipam_pool_id: take the addresses from it or from public_ipv4_pool, not from both."
  }
}

variable "pool_cidr" {
  description = <<-EOT
    The block that all of the pool's addresses are from, for example 203.0.113.0/28, where ipam_pool_id or public_ipv4_pool is contiguous: Azure's
    firewall then has this one range, and more instances change nothing there. Give it only if the whole block is yours.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.pool_cidr == null || try(cidrhost(var.pool_cidr, 0) == split("/", var.pool_cidr)[0] && tonumber(split("/", var.pool_cidr)[1]) >= 8 && tonumber(split("/", var.pool_cidr)[1]) <= 30, false)
    error_message = "pool_cidr: a range of /8 to /30 that begins at its first address, for example 203.0.113.0/28: Azure refuses /31 and /32."
  }
  validation {
    condition     = var.pool_cidr == null || var.ipam_pool_id != null || var.public_ipv4_pool != null
    error_message = "pool_cidr: addresses that Amazon picks are not contiguous; give ipam_pool_id or public_ipv4_pool."
  }
  validation {
    condition     = var.pool_cidr == null || try(coalesce(var.pool_size, var.size.max + var.surge) <= pow(2, 32 - tonumber(split("/", var.pool_cidr)[1])), false)
    error_message = "pool_cidr: the block has fewer addresses than the pool."
  }
}

variable "instance_types" {
  description = "The first is the one to use; with several the group may mix them, in this order."
  type        = list(string)
  default     = ["c7g.large"]

  validation {
    condition     = length(var.instance_types) > 0
    error_message = "instance_types: at least one."
  }
}

variable "architecture" {
  description = "arm64 or x86_64: of the instance types, the image and the artifact."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture: arm64 or x86_64."
  }
}

variable "spot" {
  description = "Spot instances: base of on-demand ones, percentage of on-demand beyond it. null: none. A reclaim gives open connections two minutes."
  type = object({
    on_demand_base       = optional(number, 1)
    on_demand_percentage = optional(number, 50)
  })
  default = null

  validation {
    condition     = var.spot == null || try(var.spot.on_demand_base >= 0 && var.spot.on_demand_percentage >= 0 && var.spot.on_demand_percentage <= 100, false)
    error_message = "spot: on_demand_base from 0, on_demand_percentage 0 to 100."
  }
}

variable "ami_id" {
  description = "Image; null: the newest Amazon Linux 2023, so that an apply after a new release of it replaces the instances."
  type        = string
  default     = null
}

variable "metadata_hop_limit" {
  description = "Hops of the answers of the metadata service (IMDSv2 is required): 1, or 2 where l4fwd runs in a container with a network of its own."
  type        = number
  default     = 1

  validation {
    condition     = var.metadata_hop_limit >= 1 && var.metadata_hop_limit <= 64
    error_message = "metadata_hop_limit: 1 to 64."
  }
}

variable "session_manager" {
  description = "Gives the instances the managed policy of SSM Session Manager, the way to a shell: no SSH key and no open port 22. To set it to false later takes the way to a shell away."
  type        = bool
  default     = true
}

variable "scaling" {
  description = "metric: connections (open ones a instance, from the load balancer), cpu (percent), or none. target: what to keep it near. Another metric replaces the policy; the group keeps its size meanwhile."
  type = object({
    metric = optional(string, "connections")
    target = optional(number, 20000)
  })
  default = {}

  validation {
    condition     = contains(["connections", "cpu", "none"], var.scaling.metric)
    error_message = "scaling.metric: connections, cpu or none."
  }
  validation {
    condition     = var.scaling.metric != "cpu" || (var.scaling.target > 0 && var.scaling.target <= 90)
    error_message = "scaling.target: with metric cpu it is a percentage, 1 to 90."
  }
  validation {
    condition     = var.scaling.metric != "connections" || (var.scaling.target > 0 && var.scaling.target <= 50000 * length(var.listen_ports) * (1 + var.secondary_addresses))
    error_message = "scaling.target: below 55,000 for each of listen_ports and each address of a load balancer node (50,000 times both at most), where the load balancer begins to refuse."
  }
}

variable "drain_timeout" {
  description = "Seconds that open connections may take to finish when an instance leaves."
  type        = number
  default     = 300

  validation {
    condition     = var.drain_timeout >= 0 && var.drain_timeout <= 3400 && var.drain_timeout == floor(var.drain_timeout)
    error_message = "drain_timeout: 0 to 3400 s: with the lame-duck time it has to fit the load balancer's deregistration delay, 3600 s at most."
  }
  validation {
    condition     = var.drain_timeout + var.health_check.interval * var.health_check.unhealthy_threshold + 5 <= 3600
    error_message = "drain_timeout: with the lame-duck time, which is health_check.interval times unhealthy_threshold and 5 s, it has to fit the load balancer's deregistration delay, 3600 s at most."
  }
}

variable "launch_timeout" {
  description = "Seconds an instance has to install, claim an address and become ready before it is given up."
  type        = number
  default     = 600

  validation {
    condition     = var.launch_timeout >= 60 && var.launch_timeout <= 7200
    error_message = "launch_timeout: 60 to 7200 s."
  }
}

variable "alarm_topic_arn" {
  description = "SNS topic for alarms; null makes one. To name another one later takes the module's own away."
  type        = string
  default     = null
}

variable "alarm_emails" {
  description = "Addresses that the module's topic mails to, each after its owner confirmed. One that is taken out goes."
  type        = set(string)
  default     = []

  validation {
    condition     = length(var.alarm_emails) == 0 || var.alarm_topic_arn == null
    error_message = "alarm_emails: subscribe them to your own topic, or leave alarm_topic_arn null."
  }
}
