# Secondary addresses of the load balancer, which the provider knows from 6.11 on.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  upstreams = [{ name = "aoai", address = "dais24-aoai-demo.openai.azure.com:443" }]
  ami_id    = "ami-0123456789abcdef0"
}

run "none_unless_asked_for" {
  command = plan

  assert {
    condition     = aws_lb.this.secondary_ips_auto_assigned_per_subnet == 0
    error_message = "a load balancer node has its primary address alone"
  }
}

run "three_each" {
  command = plan

  variables {
    secondary_addresses = 3
  }
  assert {
    condition     = aws_lb.this.secondary_ips_auto_assigned_per_subnet == 3
    error_message = "a load balancer node has three more addresses"
  }
  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.this["port-allocation-errors"].alarm_description, "55,000 x 4 addresses")
    error_message = "the alarm counts the addresses"
  }
}
