variable "name" {
  type    = string
  default = "l4fwd"
}

variable "region" {
  description = "AWS region of the Databricks workspaces."
  type        = string
}

variable "azure_subscription_id" {
  type = string
}

variable "azure_location" {
  type = string
}

variable "databricks_account_id" {
  type = string
}

variable "workspace_ids" {
  type = set(number)
}

variable "openai_name" {
  description = "NAME of NAME.openai.azure.com."
  type        = string
}

variable "deployments" {
  type    = any
  default = {}
}

variable "artifact" {
  description = "The release: source (s3://…) and sha256."
  type        = object({ source = string, sha256 = string })
}

variable "size" {
  type    = object({ min = number, max = number, desired = optional(number) })
  default = { min = 2, max = 4 }
}

variable "pool_size" {
  description = "Elastic IPs in the pool; null: size.max and one more. On a busy path raise it before size.max, so that Azure knows an address before an instance has it."
  type        = number
  default     = null
}

variable "listen_ports" {
  description = "Ports of the instances behind the load balancer's 443, each good for 55,000 connections an instance."
  type        = list(number)
  default     = [443]
}

variable "config" {
  description = "Further top-level keys of l4fwd.yaml, for example { log = { access = \"all\" } }."
  type        = any
  default     = {}
}

variable "public_address_at_boot" {
  description = "true: no interface endpoints, but an address outside the pool until the pool's is claimed; see the aws module."
  type        = bool
  default     = false
}

variable "vpc_cidr" {
  type    = string
  default = "172.30.0.0/20"
}

variable "accept_databricks" {
  description = "Accept the connection of Databricks' endpoint. false in the first apply, where the endpoint's id is not known yet, then true."
  type        = bool
  default     = false
}

variable "network_policy" {
  description = "Egress of serverless compute; see the databricks module."
  type        = any
  default     = null
}

variable "alarm_emails" {
  type    = set(string)
  default = []
}

variable "vpn" {
  description = "VPN variant: the AWS gateway, and the private endpoint's fixed address and network in Azure."
  type = object({
    gateway_id      = string
    private_ip      = optional(string, "10.2.0.4")
    address_space   = optional(string, "10.0.0.0/8")
    apps_prefix     = optional(string, "10.1.0.0/16")
    endpoint_prefix = optional(string, "10.2.0.0/16")
  })
  default = null
}
