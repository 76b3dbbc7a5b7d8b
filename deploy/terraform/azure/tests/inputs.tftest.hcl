# Wrong inputs are refused before anything is made. They concern variables*.tf alone, which is how they are run where the
# provider cannot be had.

mock_provider "azurerm" {}

variables {
  name     = "dais24-aoai-demo"
  location = "westus3"
  ip_rules = ["198.51.100.7", "203.0.113.0/30"]
}

run "name_with_dot" {
  command = plan
  variables {
    name = "dais24.aoai"
  }
  expect_failures = [var.name]
}

run "single_address_as_range" {
  command = plan
  variables {
    ip_rules = ["198.51.100.7/32"]
  }
  expect_failures = [var.ip_rules]
}

run "range_of_two" {
  command = plan
  variables {
    ip_rules = ["198.51.100.6/31"]
  }
  expect_failures = [var.ip_rules]
}

run "no_address" {
  command = plan
  variables {
    ip_rules = ["198.51.100.700"]
  }
  expect_failures = [var.ip_rules]
}

run "ipv6" {
  command = plan
  variables {
    ip_rules = ["2001:db8::1"]
  }
  expect_failures = [var.ip_rules]
}

run "private_address" {
  command = plan
  variables {
    ip_rules = ["172.30.1.4"]
  }
  expect_failures = [var.ip_rules]
}

run "carrier_grade_address" {
  command = plan
  variables {
    ip_rules = ["100.100.0.1"]
  }
  expect_failures = [var.ip_rules]
}

run "address_twice" {
  command = plan
  variables {
    ip_rules = ["198.51.100.7", "198.51.100.7"]
  }
  expect_failures = [var.ip_rules]
}

run "more_than_100" {
  command = plan
  variables {
    ip_rules = [for i in range(101) : "198.51.100.${i}"]
  }
  expect_failures = [var.ip_rules]
}

run "no_way_in" {
  command = plan
  variables {
    public_network_access_enabled = false
  }
  expect_failures = [var.public_network_access_enabled]
}

run "deployment_without_capacity" {
  command = plan
  variables {
    deployments = { gpt-4o = { model = "gpt-4o", version = "2024-11-20", capacity = 0 } }
  }
  expect_failures = [var.deployments]
}

run "deployment_upgrade" {
  command = plan
  variables {
    deployments = { gpt-4o = { model = "gpt-4o", version = "2024-11-20", upgrade = "Never" } }
  }
  expect_failures = [var.deployments]
}

run "user_by_name" {
  command = plan
  variables {
    openai_users = { me = "me@example.com" }
  }
  expect_failures = [var.openai_users]
}

run "vnet_without_subnet" {
  command = plan
  variables {
    private_endpoint = { vnet_id = "/subscriptions/0/vnet" }
  }
  expect_failures = [var.private_endpoint]
}

run "endpoint_source" {
  command = plan
  variables {
    private_endpoint = { sources = ["aws"] }
  }
  expect_failures = [var.private_endpoint]
}

run "endpoint_address" {
  command = plan
  variables {
    private_endpoint = { private_ip = "10.2.0" }
  }
  expect_failures = [var.private_endpoint]
}

run "search_free" {
  command = plan
  variables {
    private_endpoint = {}
    search           = { name = "find", sku = "free" }
  }
  expect_failures = [var.search]
}

run "search_that_nobody_reaches" {
  command = plan
  variables {
    search = { name = "find", sku = "standard" }
  }
  expect_failures = [var.search]
}

run "search_addresses_of_a_closed_service" {
  command = plan
  variables {
    private_endpoint = {}
    search           = { name = "find", allowed_ips = ["198.51.100.7"] }
  }
  expect_failures = [var.search]
}

run "kind" {
  command = plan
  variables {
    kind = "CognitiveServices"
  }
  expect_failures = [var.kind]
}

run "domains_of_another_kind" {
  command = plan
  variables {
    kind    = "OpenAI"
    domains = ["openai", "services.ai"]
  }
  expect_failures = [var.domains]
}

run "no_domains" {
  command = plan
  variables {
    domains = []
  }
  expect_failures = [var.domains]
}

run "account_of_the_first_ones_name" {
  command = plan
  variables {
    accounts = { dais24-aoai-demo = {} }
  }
  expect_failures = [var.accounts]
}

run "account_kind" {
  command = plan
  variables {
    accounts = { other = { kind = "Speech" } }
  }
  expect_failures = [var.accounts]
}

run "account_domains" {
  command = plan
  variables {
    accounts = { other = { kind = "OpenAI", domains = ["cognitiveservices"] } }
  }
  expect_failures = [var.accounts]
}

run "account_firewall" {
  command = plan
  variables {
    accounts = { other = { ip_rules = ["198.51.100.7/32"] } }
  }
  expect_failures = [var.accounts]
}

run "account_address_without_endpoint" {
  command = plan
  variables {
    accounts = { other = { private_ip = "10.2.0.7" } }
  }
  expect_failures = [var.accounts]
}

run "account_without_a_way" {
  command = plan
  variables {
    accounts = { other = { public_network_access_enabled = false } }
  }
  expect_failures = [var.accounts]
}

run "account_deployment" {
  command = plan
  variables {
    accounts = { other = { deployments = { gpt-4o = { model = "gpt-4o", version = "2024-11-20", capacity = 0 } } } }
  }
  expect_failures = [var.accounts]
}

run "account_user_by_name" {
  command = plan
  variables {
    accounts = { other = { openai_users = { me = "me@example.com" } } }
  }
  expect_failures = [var.accounts]
}

run "endpoint_zone_of_no_domain" {
  command = plan
  variables {
    private_endpoint = { dns_zone_ids = { blob = "/subscriptions/0/zone" } }
  }
  expect_failures = [var.private_endpoint]
}

run "endpoint_address_without_two_behind_it" {
  command = plan
  variables {
    private_endpoint = { private_ip = "10.2.0.254" }
  }
  expect_failures = [var.private_endpoint]
}

run "storage_name" {
  command = plan
  variables {
    storage = { name = "With-Dashes" }
  }
  expect_failures = [var.storage]
}

run "storage_replication" {
  command = plan
  variables {
    storage = { name = "data", replication = "XRS" }
  }
  expect_failures = [var.storage]
}

run "retention" {
  command = plan
  variables {
    log_retention_days = 7
  }
  expect_failures = [var.log_retention_days]
}

run "plain" {
  command = plan
  variables {
    tags = {}
  }
}

run "hundred_addresses" {
  command = plan
  variables {
    ip_rules = [for i in range(100) : "198.51.100.${i}"]
  }
}

run "everything" {
  command = plan
  variables {
    private_endpoint              = { private_ip = "10.2.0.4", sources = ["172.30.0.0/20"] }
    public_network_access_enabled = false
    search                        = { name = "find", sku = "basic" }
    accounts                      = { other = { kind = "OpenAI", private_ip = "10.2.0.8", ip_rules = ["203.0.113.8/30"] } }
    storage                       = { name = "data" }
    openai_users                  = { me = "01234567-89ab-cdef-0123-456789abcdef" }
    deployments                   = { gpt-4o = { model = "gpt-4o", version = "2024-11-20" } }
  }
}
