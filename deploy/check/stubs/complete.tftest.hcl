mock_provider "aws" {
  source = "./mocks"

  override_resource {
    target = module.aws.aws_vpc_endpoint_service.this
    values = { id = "vpce-svc-0123456789abcdef0", service_name = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0" }
  }
  override_resource { # addresses that the firewall's checks take
    target = module.aws.aws_eip.pool[0]
    values = { public_ip = "198.51.100.10" }
  }
  override_resource {
    target = module.aws.aws_eip.pool[1]
    values = { public_ip = "198.51.100.9" }
  }
  override_resource {
    target = module.aws.aws_eip.pool[2]
    values = { public_ip = "198.51.100.8" }
  }
}

variables {
  region                = "us-west-2"
  azure_subscription_id = "00000000-0000-0000-0000-000000000000"
  azure_location        = "westus3"
  databricks_account_id = "00000000-0000-0000-0000-000000000000"
  workspace_ids         = [1234567890123456]
  openai_name           = "dais24-aoai-demo"
  size                  = { min = 1, max = 1 }
  artifact = {
    source = "s3://releases/l4fwd.rpm"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }
}

run "first_apply" {
  assert {
    condition     = output.ip_rules == tolist(["198.51.100.10", "198.51.100.9"]) && output.host == "dais24-aoai-demo.openai.azure.com"
    error_message = "the pool is what Azure admits"
  }
  assert {
    condition     = length(module.aws.accepted) == 0
    error_message = "nothing is accepted before it is asked for"
  }
}

run "accepted" {
  variables {
    accept_databricks = true
    network_policy    = { enforced = true }
  }
  assert {
    condition     = module.aws.accepted == { databricks = output.vpc_endpoint_id }
    error_message = "the endpoint of the rule is accepted"
  }
}

run "changes" { # those of docs/DEPLOY.md that are made in terraform.tfvars
  variables {
    pool_size    = 3
    listen_ports = [443, 8443]
    config       = { log = { access = "all" } }
  }
  assert {
    condition     = output.ip_rules == tolist(["198.51.100.10", "198.51.100.8", "198.51.100.9"])
    error_message = "Azure knows the new address too"
  }
  assert {
    condition     = length(output.target_group_arns) == 2 && yamldecode(module.aws.config_yaml).listeners[*].address == [":443", ":8443"]
    error_message = "a target group and a listener for each port"
  }
  assert {
    condition     = yamldecode(module.aws.config_yaml).log == { access = "all" }
    error_message = "config is merged over what is rendered"
  }
}

run "vpn" {
  variables {
    vpn      = { gateway_id = "vgw-0123456789abcdef0" }
    vpc_cidr = "172.31.0.0/20"
  }
  assert {
    condition     = yamldecode(module.aws.config_yaml).upstreams == [{ name = "aoai", address = "10.2.0.4:443", backups = ["dais24-aoai-demo.openai.azure.com:443"] }]
    error_message = "the private address first, the public name as its backup"
  }
}
