provider "aws" {
  region = "us-west-2"
}

variable "sha256" {
  description = "Checksum of the release in the bucket."
  type        = string
}

module "l4fwd" {
  source = "../.."

  upstreams = [{ name = "aoai", address = "my-openai.openai.azure.com:443" }]
  artifact  = { source = "s3://my-releases/l4fwd_linux_arm64.tar.gz", sha256 = var.sha256 }
}

output "endpoint_service_name" {
  description = "For the private endpoint rule."
  value       = module.l4fwd.endpoint_service_name
}

output "ip_rules" {
  description = "For Azure's firewall."
  value       = module.l4fwd.ip_rules
}
