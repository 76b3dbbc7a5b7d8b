variable "name" {
  description = "Name of service, roles and log group; value of the tag of the pool of Elastic IPs."
  type        = string
  default     = "l4fwd"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,30}$", var.name))
    error_message = "name: letters, digits and '-', beginning with a letter, 31 characters at most."
  }
}

variable "cluster_arn" {
  description = "ECS cluster whose container instances are EC2 instances in a subnet with a route to an internet gateway."
  type        = string
}

variable "autoscaling_group_name" {
  description = "Auto Scaling group of the container instances: its hooks are completed by l4fwd."
  type        = string
}

variable "image" {
  description = "The image, with its tag or digest."
  type        = string
}

variable "upstream" {
  description = "HOST:PORT of the Azure OpenAI resource."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9.-]+:[0-9]{1,5}$", var.upstream))
    error_message = "upstream: HOST:PORT."
  }
}

variable "pool_tag_key" {
  description = "Key of the tag that makes an Elastic IP part of the pool."
  type        = string
  default     = "l4fwd-pool"
}

variable "lame_duck" {
  description = "Seconds that clients are still accepted for after /readyz says no: interval times unhealthy threshold of the health check, and a margin."
  type        = number
  default     = 25
}

variable "drain_timeout" {
  description = "Seconds that open connections may finish in when ECS stops the task."
  type        = number
  default     = 75

  validation {
    condition     = var.lame_duck + var.drain_timeout <= 100
    error_message = "drain_timeout: 100 s at most together with lame_duck, for ECS kills the container after 120 s, and the Elastic IP has to be released before."
  }
}

variable "environment" {
  description = "Further L4FWD_… variables, such as L4FWD_LOG_ACCESS."
  type        = map(string)
  default     = {}
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the log."
  type        = number
  default     = 30
}
