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

run "names" { # of all accounts: as Databricks resolves them, as l4fwd routes them, each to itself
  variables {
    accounts = { second-account = { kind = "OpenAI" } }
  }
  assert {
    condition = toset(module.azure.domain_names) == toset([
      "dais24-aoai-demo.openai.azure.com", "dais24-aoai-demo.cognitiveservices.azure.com", "dais24-aoai-demo.services.ai.azure.com", "second-account.openai.azure.com",
    ])
    error_message = "three names of an AIServices account, one of an OpenAI one"
  }
  assert {
    condition = toset(yamldecode(module.aws.config_yaml).listeners[0].routes) == toset([for host, name in {
      "dais24-aoai-demo.openai.azure.com"            = "dais24-aoai-demo"
      "dais24-aoai-demo.cognitiveservices.azure.com" = "dais24-aoai-demo-cognitiveservices"
      "dais24-aoai-demo.services.ai.azure.com"       = "dais24-aoai-demo-services-ai"
      "second-account.openai.azure.com"              = "second-account"
    } : { sni = [host], upstream = name }])
    error_message = "a route for each name"
  }
  assert {
    condition     = alltrue([for u in yamldecode(module.aws.config_yaml).upstreams : contains([for t in output.targets : t], u.address)])
    error_message = "each upstream is the name itself"
  }
}

run "keys_in_a_vault" {
  variables {
    key_vault = { id = "/subscriptions/00000000-0000-0000-0000-000000000000/vault" }
  }
  assert {
    condition     = keys(azurerm_key_vault_secret.key) == ["dais24-aoai-demo"] && azurerm_key_vault_secret.key["dais24-aoai-demo"].value == null
    error_message = "the key is written to the vault, and kept in no argument of the state"
  }
}

run "vpn" {
  variables {
    vpn            = { gateway_id = "vgw-0123456789abcdef0" }
    vpc_cidr       = "172.31.0.0/20"
    openai_domains = ["openai"]
  }
  assert {
    condition     = yamldecode(module.aws.config_yaml).upstreams == [{ name = "dais24-aoai-demo", address = "10.2.0.5:443", backups = ["dais24-aoai-demo.openai.azure.com:443"] }]
    error_message = "the private address first, the public name as its backup"
  }
}
