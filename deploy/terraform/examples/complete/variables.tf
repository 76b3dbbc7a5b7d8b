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
