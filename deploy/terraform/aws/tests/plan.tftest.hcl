# The module with the provider mocked: what it plans, and what it says to wrong inputs. Neither account nor network.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  upstreams = [{ name = "aoai", address = "dais24-aoai-demo.openai.azure.com:443" }]
  artifact = {
    source = "s3://releases/l4fwd/l4fwd_1.0.0_linux_arm64.tar.gz"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }
}

run "defaults" {
  assert {
    condition     = length(aws_eip.pool) == 5 && alltrue([for e in aws_eip.pool : e.tags["l4fwd-pool"] == "l4fwd"])
    error_message = "the pool is size.max + surge addresses with the pool's tag"
  }
  assert {
    condition     = yamldecode(output.config_yaml).eip.pool == "tag:l4fwd-pool=l4fwd" && yamldecode(output.config_yaml).eip.required
    error_message = "the configuration names the tag that the addresses bear"
  }
  assert {
    condition     = yamldecode(output.config_yaml).listeners == [{ name = "port-443", address = ":443", accept_proxy = "required" }]
    error_message = "one listener on 443 that requires the PROXY header"
  }
  assert {
    condition     = yamldecode(output.config_yaml).upstreams == [{ name = "aoai", address = "dais24-aoai-demo.openai.azure.com:443" }]
    error_message = "the upstream as given"
  }
  assert {
    condition     = aws_lb.this.internal && aws_lb.this.enable_cross_zone_load_balancing && aws_lb.this.enforce_security_group_inbound_rules_on_private_link_traffic == "off"
    error_message = "internal, cross-zone, and PrivateLink not held to the security group"
  }
  assert {
    condition     = aws_lb_listener.this.port == 443 && aws_lb_listener.this.protocol == "TCP" && aws_lb_listener.this.tcp_idle_timeout_seconds == 350
    error_message = "TCP on 443 with the idle timeout"
  }
  assert {
    condition     = aws_lb_target_group.this["443"].proxy_protocol_v2 && aws_lb_target_group.this["443"].health_check[0].path == "/readyz" && aws_lb_target_group.this["443"].health_check[0].port == "8080" && aws_lb_target_group.this["443"].health_check[0].protocol == "HTTP"
    error_message = "PROXY v2, checked by HTTP /readyz on the health port"
  }
  assert {
    # lame duck 10 * 2 + 5, drain 300
    condition = (yamldecode(output.config_yaml).drain == { lame_duck = "25s", timeout = "300s" }
      && aws_lb_target_group.this["443"].deregistration_delay == "325" && aws_lb_target_group.this["443"].connection_termination
      && aws_lb_target_group.this["443"].target_health_state[0].unhealthy_draining_interval == 325
    && !aws_lb_target_group.this["443"].target_health_state[0].enable_unhealthy_connection_termination)
    error_message = "the load balancer leaves connections alone for as long as l4fwd drains"
  }
  assert {
    condition     = strcontains(output.user_data, "TimeoutStopSec=385")
    error_message = "systemd waits longer than the drain"
  }
  assert {
    condition     = aws_vpc_endpoint_service.this.acceptance_required && aws_vpc_endpoint_service.this.allowed_principals == toset(["arn:aws:iam::565502421330:role/private-connectivity-role-us-west-2"])
    error_message = "acceptance, and Databricks' role of the region"
  }
  assert {
    condition     = keys(aws_vpc_endpoint.interface) == ["autoscaling", "ec2"] && aws_launch_template.this.network_interfaces[0].associate_public_ip_address == "false"
    error_message = "no public address at boot, hence endpoints of the two APIs"
  }
  assert {
    condition     = aws_launch_template.this.metadata_options[0].http_tokens == "required" && aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 is required, one hop"
  }
  assert {
    condition = (aws_autoscaling_group.this.health_check_type == "ELB"
      && toset([for h in aws_autoscaling_group.this.initial_lifecycle_hook : "${h.lifecycle_transition}=${h.default_result}"])
    == toset(["autoscaling:EC2_INSTANCE_LAUNCHING=ABANDON", "autoscaling:EC2_INSTANCE_TERMINATING=CONTINUE"]))
    error_message = "ELB health, both hooks made with the group"
  }
  assert {
    condition     = [for h in aws_autoscaling_group.this.initial_lifecycle_hook : h.heartbeat_timeout if endswith(h.name, "-terminate")] == [385]
    error_message = "the termination hook outlasts the drain"
  }
  assert {
    condition     = aws_autoscaling_group.this.instance_maintenance_policy[0].min_healthy_percentage == 100 && aws_autoscaling_group.this.instance_maintenance_policy[0].max_healthy_percentage == 125
    error_message = "replacements come first, one beyond four"
  }
  assert {
    condition     = length(aws_autoscaling_policy.connections) == 1 && length(aws_autoscaling_policy.cpu) == 0
    error_message = "scaling by connections"
  }
  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset(["launch-stuck", "no-healthy-target-443", "pool-exhausted", "port-allocation-errors", "unhealthy-targets-443"])
    error_message = "the five alarms"
  }
  assert {
    condition     = strcontains(aws_cloudwatch_metric_alarm.this["port-allocation-errors"].alarm_description, "55,000 x 1 addresses of a load balancer node x 1 listen_ports = 55000 connections of a node, 4 instances 220000.")
    error_message = "the alarm has the arithmetic"
  }
  assert {
    condition     = aws_lb.this.enable_zonal_shift
    error_message = "a zone can be left"
  }
  assert {
    condition     = length(output.ip_rules) == 5 && output.ip_rules == sort(output.public_ips)
    error_message = "ip_rules are the pool's addresses"
  }
}

run "policy_is_the_least" {
  assert {
    condition = alltrue([for s in jsondecode(output.policy_json).Statement :
    s.Resource != "*" || alltrue([for a in flatten([s.Action]) : strcontains(a, ":Describe")])])
    error_message = "only Describe actions, which know no resource, have Resource *"
  }
  assert {
    condition = alltrue([for s in jsondecode(output.policy_json).Statement :
      s.Condition == { StringEquals = { "aws:ResourceTag/l4fwd-pool" = "l4fwd" } }
    if strcontains(jsonencode(s.Resource), "elastic-ip/")])
    error_message = "addresses only of the pool"
  }
  assert {
    condition     = strcontains(output.policy_json, "autoScalingGroupName/l4fwd\"")
    error_message = "hooks only of the group"
  }
}

run "several_ports" {
  variables {
    listen_ports = [443, 8443, 9443]
  }
  assert {
    condition     = length(aws_lb_target_group.this) == 3 && length(aws_autoscaling_group.this.target_group_arns) >= 1 && length(aws_lb_listener.this.default_action[0].forward) == 1
    error_message = "a target group a port behind one listener"
  }
  assert {
    condition     = yamldecode(output.config_yaml).listeners[*].address == [":443", ":8443", ":9443"]
    error_message = "l4fwd accepts on each"
  }
  assert {
    condition     = toset(keys(aws_vpc_security_group_ingress_rule.instance)) == toset(["443", "8443", "9443", "8080"])
    error_message = "the security group lets in each, and the health port"
  }
}

run "a_port_is_added_in_two_steps" {
  variables {
    listen_ports  = [443, 8443]
    forward_ports = [443]
  }
  assert {
    condition     = length(aws_lb_target_group.this) == 2 && aws_lb_listener.this.default_action[0].target_group_arn != null && length(aws_lb_listener.this.default_action[0].forward) == 0
    error_message = "instances accept on both, the load balancer sends to one"
  }
}

run "nat_gateways" {
  variables {
    egress        = "nat_gateway"
    nat_addresses = 2
    artifact      = { source = "https://example.com/l4fwd.rpm", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_eip.pool) == 6 && alltrue([for g in aws_nat_gateway.this : length(g.secondary_allocation_ids) == 1])
    error_message = "a gateway a zone, with its share of the pool"
  }
  assert {
    condition     = !contains(keys(yamldecode(output.config_yaml)), "eip") && length(aws_autoscaling_lifecycle_hook.this) == 0 && !strcontains(output.policy_json, "AssociateAddress")
    error_message = "no instance claims an address, or waits for one"
  }
  assert {
    condition     = length(aws_route.nat) == 3 && length(aws_vpc_endpoint.interface) == 0 && aws_launch_template.this.network_interfaces[0].associate_public_ip_address == "false"
    error_message = "the gateways are the way out of the instances' subnets"
  }
  assert {
    condition     = contains(keys(aws_cloudwatch_metric_alarm.this), "nat-port-errors-0") && !contains(keys(aws_cloudwatch_metric_alarm.this), "pool-exhausted")
    error_message = "the alarms of gateways instead of the pool's"
  }
}

run "nat_gateways_of_your_vpc" {
  variables {
    egress = "nat_gateway"
    vpc    = { id = "vpc-0123456789abcdef0", instance_subnet_ids = ["subnet-0123456789abcdef0"], nlb_subnet_ids = ["subnet-0123456789abcdef1"], nat_public_ips = ["198.51.100.77"] }
  }
  assert {
    condition     = length(aws_nat_gateway.this) + length(aws_eip.pool) == 0 && output.ip_rules == tolist(["198.51.100.77"])
    error_message = "your gateways' addresses are what Azure admits"
  }
}

run "image_with_l4fwd" {
  variables {
    artifact = null
    ami_id   = "ami-0123456789abcdef0"
  }
  assert {
    condition     = !strcontains(output.user_data, "aws s3 cp") && !strcontains(output.user_data, "curl") && strcontains(output.user_data, "l4fwd check") && length(aws_iam_role_policy.artifact) == 0
    error_message = "a boot fetches nothing"
  }
}

run "several_upstreams" {
  variables {
    upstreams = [
      { name = "east", address = "east.openai.azure.com:443", sni = ["east.openai.azure.com"] },
      { name = "west", address = "10.2.0.4:443", backups = ["west.openai.azure.com:8443"], sni = ["west.openai.azure.com"] },
    ]
    allow_vpce = ["vpce-0123456789abcdef0"]
    config     = { log = { access = "all" } }
  }
  assert {
    condition = yamldecode(output.config_yaml).listeners[0].routes == [
      { sni = ["east.openai.azure.com"], upstream = "east" }, { sni = ["west.openai.azure.com"], upstream = "west" },
    ]
    error_message = "the server name decides"
  }
  assert {
    condition     = yamldecode(output.config_yaml).upstreams[1].backups == ["west.openai.azure.com:8443"] && yamldecode(output.config_yaml).listeners[0].allow_vpce == ["vpce-0123456789abcdef0"] && yamldecode(output.config_yaml).log.access == "all"
    error_message = "backups, endpoints and further keys reach the file"
  }
  assert {
    condition     = toset(keys(aws_vpc_security_group_egress_rule.instance)) == toset(["443", "8443"])
    error_message = "the way out is open for the upstreams' ports"
  }
}

run "public_address_at_boot" {
  variables {
    public_address_at_boot = true
    artifact               = { source = "https://example.com/l4fwd.rpm", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0 && length(aws_security_group.endpoints) == 0 && aws_launch_template.this.network_interfaces[0].associate_public_ip_address == "true"
    error_message = "an address at boot needs no interface endpoints"
  }
  assert {
    condition     = length(aws_iam_role_policy.artifact) == 0
    error_message = "nothing to read from S3"
  }
}

run "your_vpc" {
  variables {
    vpc = { id = "vpc-0123456789abcdef0", instance_subnet_ids = ["subnet-0123456789abcdef0"], nlb_subnet_ids = ["subnet-0123456789abcdef1"] }
  }
  assert {
    condition     = length(aws_vpc.this) + length(aws_subnet.public) + length(aws_subnet.private) + length(aws_route_table.public) + length(aws_vpc_endpoint.s3) == 0
    error_message = "nothing of the network is made twice"
  }
  assert {
    condition     = aws_lb.this.subnets == toset(["subnet-0123456789abcdef1"]) && aws_autoscaling_group.this.vpc_zone_identifier == toset(["subnet-0123456789abcdef0"])
    error_message = "the given subnets are used"
  }
}

run "spot_and_cpu" {
  variables {
    instance_types = ["c7g.large", "c6g.large"]
    spot           = { on_demand_base = 1, on_demand_percentage = 0 }
    scaling        = { metric = "cpu", target = 60 }
  }
  assert {
    condition     = length(aws_autoscaling_group.this.launch_template) == 0 && length(aws_autoscaling_group.this.mixed_instances_policy[0].launch_template[0].override) == 2 && aws_autoscaling_group.this.capacity_rebalance
    error_message = "a mixed group that replaces before a reclaim"
  }
  assert {
    condition     = length(aws_autoscaling_policy.cpu) == 1
    error_message = "scaling by CPU"
  }
}

run "vpn_and_accepter" {
  variables {
    vpn_gateway_id       = "vgw-0123456789abcdef0"
    accept_vpc_endpoints = { databricks = "vpce-0123456789abcdef0" }
  }
  assert {
    condition     = aws_route_table.public[0].propagating_vgws == toset(["vgw-0123456789abcdef0"])
    error_message = "the gateway's routes reach the instances"
  }
  assert {
    condition     = aws_vpc_endpoint_connection_accepter.this["databricks"].vpc_endpoint_id == "vpce-0123456789abcdef0"
    error_message = "the connection is accepted"
  }
}

run "region_with_fewer_zones" {
  command = plan
  override_data {
    target = data.aws_availability_zones.available
    values = { names = ["us-west-2a"] }
  }
  expect_failures = [aws_vpc.this]
}
