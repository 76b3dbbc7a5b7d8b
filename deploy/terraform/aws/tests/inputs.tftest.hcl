# Wrong inputs are refused before anything is made.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  upstreams = [{ name = "aoai", address = "dais24-aoai-demo.openai.azure.com:443" }]
  artifact = {
    source = "s3://releases/l4fwd.rpm"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }
}

run "name_too_long" {
  command = plan
  variables {
    name = "a-name-that-no-target-group-takes"
  }
  expect_failures = [var.name]
}

run "no_upstream" {
  command = plan
  variables {
    upstreams = []
  }
  expect_failures = [var.upstreams]
}

run "upstream_is_a_url" {
  command = plan
  variables {
    upstreams = [{ name = "aoai", address = "https://x.openai.azure.com/" }]
  }
  expect_failures = [var.upstreams]
}

run "upstream_port_out_of_range" {
  command = plan
  variables {
    upstreams = [{ name = "aoai", address = "x.openai.azure.com:70000" }]
  }
  expect_failures = [var.upstreams]
}

run "backup_without_port" {
  command = plan
  variables {
    upstreams = [{ name = "aoai", address = "10.2.0.4:443", backups = ["x.openai.azure.com"] }]
  }
  expect_failures = [var.upstreams]
}

run "neither_release_nor_image" {
  command = plan
  variables {
    artifact = null
  }
  expect_failures = [var.artifact]
}

run "forward_to_a_port_nobody_accepts_on" {
  command = plan
  variables {
    forward_ports = [8443]
  }
  expect_failures = [var.forward_ports]
}

run "eight_secondary_addresses" {
  command = plan
  variables {
    secondary_addresses = 8
  }
  expect_failures = [var.secondary_addresses]
}

run "egress" {
  command = plan
  variables {
    egress = "internet"
  }
  expect_failures = [var.egress]
}

run "nat_with_a_public_address_at_boot" {
  command = plan
  variables {
    egress                 = "nat_gateway"
    public_address_at_boot = true
  }
  expect_failures = [var.egress]
}

run "nat_of_your_vpc_without_its_addresses" {
  command = plan
  variables {
    egress = "nat_gateway"
    vpc    = { id = "vpc-0123456789abcdef0", instance_subnet_ids = ["subnet-0123456789abcdef0"], nlb_subnet_ids = ["subnet-0123456789abcdef1"] }
  }
  expect_failures = [var.egress]
}

run "nine_nat_addresses" {
  command = plan
  variables {
    nat_addresses = 9
  }
  expect_failures = [var.nat_addresses]
}

run "ipam_pool" {
  command = plan
  variables {
    ipam_pool_id = "pool"
  }
  expect_failures = [var.ipam_pool_id]
}

run "addresses_from_two_pools" {
  command = plan
  variables {
    ipam_pool_id     = "ipam-pool-0123456789abcdef0"
    public_ipv4_pool = "ipv4pool-ec2-0123456789abcdef0"
  }
  expect_failures = [var.ipam_pool_id]
}

run "block_of_addresses_that_amazon_picks" {
  command = plan
  variables {
    pool_cidr = "203.0.113.0/28"
  }
  expect_failures = [var.pool_cidr]
}

run "block_of_one" {
  command = plan
  variables {
    ipam_pool_id = "ipam-pool-0123456789abcdef0"
    pool_cidr    = "203.0.113.0/32"
  }
  expect_failures = [var.pool_cidr]
}

run "block_smaller_than_the_pool" {
  command = plan
  variables {
    ipam_pool_id = "ipam-pool-0123456789abcdef0"
    pool_cidr    = "203.0.113.0/30"
  }
  expect_failures = [var.pool_cidr]
}

run "upstreams_of_one_name" {
  command = plan
  variables {
    upstreams = [{ name = "a", address = "x:443", sni = ["x"] }, { name = "a", address = "y:443", sni = ["y"] }]
  }
  expect_failures = [var.upstreams]
}

run "second_upstream_without_sni" {
  command = plan
  variables {
    upstreams = [{ name = "a", address = "x:443", sni = ["x"] }, { name = "b", address = "y:443" }]
  }
  expect_failures = [var.upstreams]
}

run "config_of_the_module" {
  command = plan
  variables {
    config = { eip = { pool = "" } }
  }
  expect_failures = [var.config]
}

run "artifact_of_another_kind" {
  command = plan
  variables {
    artifact = { source = "s3://releases/l4fwd.zip", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  }
  expect_failures = [var.artifact]
}

run "artifact_without_checksum" {
  command = plan
  variables {
    artifact = { source = "s3://releases/l4fwd.rpm", sha256 = "" }
  }
  expect_failures = [var.artifact]
}

run "artifact_out_of_reach" {
  command = plan
  variables {
    artifact = { source = "https://example.com/l4fwd.rpm", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  }
  expect_failures = [var.artifact]
}

run "vpc_without_subnets" {
  command = plan
  variables {
    vpc = { id = "vpc-0123456789abcdef0", instance_subnet_ids = [], nlb_subnet_ids = [] }
  }
  expect_failures = [var.vpc]
}

run "vpc_cidr_too_small" {
  command = plan
  variables {
    vpc_cidr = "10.0.0.0/28"
  }
  expect_failures = [var.vpc_cidr]
}

run "zones_beyond_the_cut" {
  command = plan
  variables {
    zones = 5
  }
  expect_failures = [var.zones]
}

run "six_ports" {
  command = plan
  variables {
    listen_ports = [443, 444, 445, 446, 447, 448]
  }
  expect_failures = [var.listen_ports]
}

run "port_twice" {
  command = plan
  variables {
    listen_ports = [443, 443]
  }
  expect_failures = [var.listen_ports]
}

run "port_of_the_health_check" {
  command = plan
  variables {
    listen_ports = [443, 8080]
  }
  expect_failures = [var.listen_ports]
}

run "health_port_out_of_range" {
  command = plan
  variables {
    health_port = 0
  }
  expect_failures = [var.health_port]
}

run "health_check_that_overlaps" {
  command = plan
  variables {
    health_check = { interval = 5, timeout = 6 }
  }
  expect_failures = [var.health_check]
}

run "endpoint_without_proxy_header" {
  command = plan
  variables {
    allow_vpce     = ["vpce-0123456789abcdef0"]
    proxy_protocol = false
  }
  expect_failures = [var.allow_vpce]
}

run "endpoint_of_another_kind" {
  command = plan
  variables {
    allow_vpce = ["vpce-svc-0123456789abcdef0"]
  }
  expect_failures = [var.allow_vpce]
}

run "idle_timeout_too_long" {
  command = plan
  variables {
    idle_timeout = 6001
  }
  expect_failures = [var.idle_timeout]
}

run "anybody_allowed" {
  command = plan
  variables {
    allowed_principals = ["*"]
  }
  expect_failures = [var.allowed_principals]
}

run "size_upside_down" {
  command = plan
  variables {
    size = { min = 3, max = 2 }
  }
  expect_failures = [var.size]
}

run "desired_outside" {
  command = plan
  variables {
    size = { min = 1, max = 2, desired = 3 }
  }
  expect_failures = [var.size]
}

run "no_surge" {
  command = plan
  variables {
    surge = 0
  }
  expect_failures = [var.surge]
}

run "pool_smaller_than_the_group" {
  command = plan
  variables {
    size      = { min = 2, max = 4 }
    surge     = 1
    pool_size = 4
  }
  expect_failures = [var.pool_size]
}

run "pool_larger_than_azure_takes" {
  command = plan
  variables {
    pool_size = 101
  }
  expect_failures = [var.pool_size]
}

run "tag_key_of_aws" {
  command = plan
  variables {
    pool_tag_key = "aws:pool"
  }
  expect_failures = [var.pool_tag_key]
}

run "no_instance_type" {
  command = plan
  variables {
    instance_types = []
  }
  expect_failures = [var.instance_types]
}

run "architecture_of_another_world" {
  command = plan
  variables {
    architecture = "riscv64"
  }
  expect_failures = [var.architecture]
}

run "spot_percentage" {
  command = plan
  variables {
    spot = { on_demand_percentage = 101 }
  }
  expect_failures = [var.spot]
}

run "hop_limit" {
  command = plan
  variables {
    metadata_hop_limit = 0
  }
  expect_failures = [var.metadata_hop_limit]
}

run "scaling_on_something_else" {
  command = plan
  variables {
    scaling = { metric = "memory" }
  }
  expect_failures = [var.scaling]
}

run "scaling_beyond_the_limit_of_a_target" {
  command = plan
  variables {
    scaling = { metric = "connections", target = 55000 }
  }
  expect_failures = [var.scaling]
}

run "cpu_in_per_mille" {
  command = plan
  variables {
    scaling = { metric = "cpu", target = 600 }
  }
  expect_failures = [var.scaling]
}

run "drain_longer_than_deregistration" {
  command = plan
  variables {
    drain_timeout = 3600
  }
  expect_failures = [var.drain_timeout]
}

run "drain_after_a_long_lame_duck" {
  command = plan
  variables {
    drain_timeout = 3400
    health_check  = { interval = 100 }
  }
  expect_failures = [var.drain_timeout]
}

run "launch_in_no_time" {
  command = plan
  variables {
    launch_timeout = 10
  }
  expect_failures = [var.launch_timeout]
}

run "mails_from_a_foreign_topic" {
  command = plan
  variables {
    alarm_topic_arn = "arn:aws:sns:us-west-2:123456789012:ours"
    alarm_emails    = ["ops@example.com"]
  }
  expect_failures = [var.alarm_emails]
}

run "vpn_in_your_vpc" {
  command = plan
  variables {
    vpn_gateway_id = "vgw-0123456789abcdef0"
    vpc            = { id = "vpc-0123456789abcdef0", instance_subnet_ids = ["subnet-1"], nlb_subnet_ids = ["subnet-2"] }
  }
  expect_failures = [var.vpn_gateway_id]
}

