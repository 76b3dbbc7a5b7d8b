variable "name" {
  description = "Name of what is made in AWS and Databricks."
  type        = string
  default     = "l4fwd"
}

variable "region" {
  description = "AWS region of the Databricks workspaces."
  type        = string
}

variable "azure_subscription_id" {
  description = "Subscription of the accounts."
  type        = string
}

variable "azure_location" {
  description = "Region of the first account, for example westus3."
  type        = string
}

variable "databricks_account_id" {
  description = "Id of the Databricks account, as the account console shows it."
  type        = string
}

variable "workspace_ids" {
  description = "Workspaces whose serverless compute uses the path."
  type        = set(number)
}

variable "openai_name" {
  description = "NAME of NAME.openai.azure.com."
  type        = string
}

variable "openai_kind" {
  description = "AIServices, or OpenAI for an account that was made as one; see the azure module."
  type        = string
  default     = "AIServices"
}

variable "openai_domains" {
  description = "Which names of the first account are used: openai, cognitiveservices, services.ai; null: all of its kind. Databricks takes 10 names in all."
  type        = list(string)
  default     = null
}

variable "deployments" {
  description = "Models of the first account; see the azure module."
  type        = any
  default     = {}
}

variable "openai_users" {
  description = "Object ids of the service principals and people that may call the models of the first account, by a name of your choice."
  type        = map(string)
  default     = {}
}

variable "accounts" {
  description = "Further accounts by name, each with its own deployments, users and, if given, firewall; see the azure module."
  type        = any
  default     = {}
}

variable "key_vault" {
  description = <<-EOT
    For callers that cannot use Entra ID: the id of a Key Vault that gets each account's key as the secret NAME-key. null: accounts take no
    keys. version: raise it after a key was regenerated, so that the secret is written again.
  EOT
  type        = object({ id = string, version = optional(number, 1) })
  default     = null
}

variable "artifact" {
  description = "The release: source (s3://…) and sha256."
  type        = object({ source = string, sha256 = string })
}

variable "size" {
  description = "Instances: least, most, and at the start."
  type        = object({ min = number, max = number, desired = optional(number) })
  default     = { min = 2, max = 4 }
}

variable "pool_size" {
  description = "Elastic IPs in the pool; null: size.max and one more. On a busy path raise it before size.max, so that Azure knows an address before an instance has it."
  type        = number
  default     = null
}

variable "secondary_addresses" {
  description = "Secondary private addresses of each load balancer node, 0 to 7: the first way to more than 55,000 connections an instance. Lowering it makes the load balancer anew."
  type        = number
  default     = 0
}

variable "forward_ports" {
  description = "Those of listen_ports that the load balancer sends to; null: all. For a change of listen_ports in two steps; see the aws module."
  type        = list(number)
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
  description = "Range of the VPC; in the VPN variant it must not overlap the VNet."
  type        = string
  default     = "172.30.0.0/20"
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
  description = "Addresses that alarms are mailed to."
  type        = set(string)
  default     = []
}

variable "vpn" {
  description = "VPN variant: the AWS gateway, and the network in Azure with the private endpoint's fixed address: the first of three for an account of kind AIServices."
  type = object({
    gateway_id      = string
    private_ip      = optional(string, "10.2.0.4")
    address_space   = optional(string, "10.0.0.0/8")
    apps_prefix     = optional(string, "10.1.0.0/16")
    endpoint_prefix = optional(string, "10.2.0.0/16")
  })
  default = null
}
