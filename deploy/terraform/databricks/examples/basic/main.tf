terraform {
  required_providers {
    databricks = { source = "databricks/databricks" }
  }
}

variable "account_id" {
  description = "Id of the Databricks account."
  type        = string
}

provider "databricks" {
  host       = "https://accounts.cloud.databricks.com"
  account_id = var.account_id
}

module "path" {
  source = "../.."

  region           = "us-west-2"
  endpoint_service = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"
  domain_names     = ["my-openai.openai.azure.com"]
  workspace_ids    = [1234567890123456]
}

output "vpc_endpoint_id" {
  description = "The endpoint that waits for acceptance."
  value       = module.path.vpc_endpoint_id
}
