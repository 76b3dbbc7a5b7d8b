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

run "search_standard" {
  command = plan
  variables {
    search = { name = "find", sku = "standard" }
  }
  expect_failures = [var.search]
}

run "search_addresses_of_a_closed_service" {
  command = plan
  variables {
    search = { name = "find", allowed_ips = ["198.51.100.7"] }
  }
  expect_failures = [var.search]
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
    search                        = { name = "find" }
    storage                       = { name = "data" }
    openai_users                  = { me = "01234567-89ab-cdef-0123-456789abcdef" }
    deployments                   = { gpt-4o = { model = "gpt-4o", version = "2024-11-20" } }
  }
}
