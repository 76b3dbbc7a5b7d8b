# A pool that is one block: Azure's firewall has the range.

mock_provider "aws" {
  source = "./tests/mocks"

  override_resource {
    target = aws_eip.pool
    values = { public_ip = "203.0.113.9" }
  }
}

variables {
  upstreams    = [{ name = "aoai", address = "dais24-aoai-demo.openai.azure.com:443" }]
  ami_id       = "ami-0123456789abcdef0"
  ipam_pool_id = "ipam-pool-0123456789abcdef0"
  pool_cidr    = "203.0.113.8/29"
}

run "contiguous" {
  assert {
    condition     = output.ip_rules == tolist(["203.0.113.8/29"]) && alltrue([for e in aws_eip.pool : e.ipam_pool_id == "ipam-pool-0123456789abcdef0"])
    error_message = "Azure has one range"
  }
}

run "your_own_range" {
  variables {
    ipam_pool_id     = null
    public_ipv4_pool = "ipv4pool-ec2-0123456789abcdef0"
  }
  assert {
    condition     = output.ip_rules == tolist(["203.0.113.8/29"]) && alltrue([for e in aws_eip.pool : e.public_ipv4_pool == "ipv4pool-ec2-0123456789abcdef0"])
    error_message = "the addresses are from your own range"
  }
}

run "address_outside_of_the_block" {
  command = plan
  variables {
    pool_cidr = "203.0.113.16/29"
  }
  expect_failures = [output.ip_rules]
}
