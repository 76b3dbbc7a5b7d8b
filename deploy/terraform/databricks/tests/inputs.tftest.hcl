# Wrong inputs are refused before anything is made. They concern variables*.tf alone, which is how they are run where the
# provider cannot be had.

mock_provider "databricks" {}

variables {
  region           = "us-west-2"
  endpoint_service = "com.amazonaws.vpce.us-west-2.vpce-svc-0123456789abcdef0"
  domain_names     = ["dais24-aoai-demo.openai.azure.com"]
}

run "name_too_short" {
  command = plan
  variables {
    name = "l4"
  }
  expect_failures = [var.name]
}

run "region_of_azure" {
  command = plan
  variables {
    region           = "westus3"
    endpoint_service = "com.amazonaws.vpce.westus3.vpce-svc-0123456789abcdef0"
  }
  expect_failures = [var.region]
}

run "service_id" {
  command = plan
  variables {
    endpoint_service = "vpce-svc-0123456789abcdef0"
  }
  expect_failures = [var.endpoint_service]
}

run "service_of_another_region" {
  command = plan
  variables {
    endpoint_service = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"
  }
  expect_failures = [var.endpoint_service]
}

run "no_domain" {
  command = plan
  variables {
    domain_names = []
  }
  expect_failures = [var.domain_names]
}

run "eleven_domains" {
  command = plan
  variables {
    domain_names = [for i in range(11) : "a${i}.openai.azure.com"]
  }
  expect_failures = [var.domain_names]
}

run "domain_twice" {
  command = plan
  variables {
    domain_names = ["a.openai.azure.com", "a.openai.azure.com"]
  }
  expect_failures = [var.domain_names]
}

run "domain_as_url" {
  command = plan
  variables {
    domain_names = ["https://a.openai.azure.com"]
  }
  expect_failures = [var.domain_names]
}

run "wildcard" {
  command = plan
  variables {
    domain_names = ["*.openai.azure.com"]
  }
  expect_failures = [var.domain_names]
}

run "too_many_workspaces" {
  command = plan
  variables {
    workspace_ids = range(51)
  }
  expect_failures = [var.workspace_ids]
}

run "policy_for_everybody" {
  command = plan
  variables {
    network_policy = { id = "default-policy" }
  }
  expect_failures = [var.network_policy]
}

run "existing_policy_changed" {
  command = plan
  variables {
    network_policy = { existing_id = "theirs", internet_destinations = ["pypi.org"] }
  }
  expect_failures = [var.network_policy]
}

run "policy_with_a_url" {
  command = plan
  variables {
    network_policy = { internet_destinations = ["https://pypi.org"] }
  }
  expect_failures = [var.network_policy]
}

run "policy_too_long" {
  command = plan
  variables {
    network_policy = { internet_destinations = flatten([for i in range(100) : [for j in range(20) : "a${i}-${j}.example.com"]]) }
  }
  expect_failures = [var.network_policy]
}

run "plain" {
  command = plan
  variables {
    workspace_ids = [1234567890123456]
  }
}

run "ten_domains" {
  command = plan
  variables {
    domain_names = [for i in range(10) : "a${i}.openai.azure.com"]
  }
}

run "existing_policy" {
  command = plan
  variables {
    network_policy = { existing_id = "theirs" }
    workspace_ids  = [1234567890123456]
  }
}

run "policy" {
  command = plan
  variables {
    network_policy = { enforced = true, internet_destinations = ["pypi.org", "*.example.com"], storage = [{ bucket = "data", region = "us-west-2" }] }
  }
}
