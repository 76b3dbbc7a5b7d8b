# The AWS module as a person would call it, for an endpoint on this machine (AWS_ENDPOINT_URL). The module's copy beside it has
# moto_override.tf laid over.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region      = "us-west-2"
  max_retries = 3 # a busy machine breaks a connection now and then; what moto does not implement answers 500, which would be retried for ever
}

variable "sha256" {
  description = "Checksum of the release."
  type        = string
  default     = "0000000000000000000000000000000000000000000000000000000000000000"
}

module "l4fwd" {
  source = "./aws"

  # Two accounts, told apart by the name that a client asks for.
  upstreams = [for name, host in { aoai = "dais24-aoai-demo.openai.azure.com", second = "second-account.openai.azure.com" } :
    { name = name, address = "${host}:443", sni = [host] }
  ]
  artifact = {
    source = "s3://releases/l4fwd/l4fwd.tar.gz"
    sha256 = var.sha256
  }
  config       = { log = { access = "all" } }
  health_check = { interval = 5, timeout = 2 } # a short lame-duck time
  zones        = 2
  listen_ports = [443, 8443]
  pool_size    = 6
  alarm_emails = ["ops@example.com"]
  tags         = { owner = "check" }
}

output "l4fwd" {
  value = module.l4fwd

  precondition {
    condition     = length(distinct(module.l4fwd.ip_rules)) >= 5 && length(module.l4fwd.ip_rules) == length(module.l4fwd.allocation_ids)
    error_message = "The pool is not five addresses and more."
  }
  precondition {
    condition     = can(regex("^com\\.amazonaws\\.vpce\\.us-west-2\\.vpce-svc-", module.l4fwd.endpoint_service_name))
    error_message = "The endpoint service has no name that Databricks takes."
  }
}
