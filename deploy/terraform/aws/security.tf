# Security groups do not filter DNS to the VPC's resolver, the metadata service and the time service: no rules for them.

resource "aws_security_group" "nlb" {
  name        = "${var.name}-nlb"
  description = "l4fwd load balancer"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-nlb" })
}

# No ingress rule: PrivateLink traffic is let in by the endpoint service (the rules are not enforced on it, since the owner
# cannot know its sources), and nobody else is to come in.
resource "aws_vpc_security_group_egress_rule" "nlb" {
  for_each                     = toset([for p in concat(var.listen_ports, [var.health_port]) : tostring(p)])
  security_group_id            = aws_security_group.nlb.id
  referenced_security_group_id = aws_security_group.instance.id
  ip_protocol                  = "tcp"
  from_port                    = tonumber(each.key)
  to_port                      = tonumber(each.key)
  tags                         = local.tags
}

resource "aws_security_group" "instance" {
  name        = "${var.name}-instance"
  description = "l4fwd instances"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-instance" })
}

resource "aws_vpc_security_group_ingress_rule" "instance" {
  for_each                     = toset([for p in concat(var.listen_ports, [var.health_port]) : tostring(p)])
  security_group_id            = aws_security_group.instance.id
  referenced_security_group_id = aws_security_group.nlb.id
  ip_protocol                  = "tcp"
  from_port                    = tonumber(each.key)
  to_port                      = tonumber(each.key)
  tags                         = local.tags
}

# Upstream ports, and 443 for AWS. Azure's addresses change under its names, so the destination stays open.
resource "aws_vpc_security_group_egress_rule" "instance" {
  for_each          = toset(concat(["443"], [for a in flatten([for u in var.upstreams : concat([u.address], u.backups)]) : split(":", a)[1]]))
  security_group_id = aws_security_group.instance.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
  tags              = local.tags
}

resource "aws_security_group" "endpoints" {
  count       = length(local.interface_endpoints) > 0 ? 1 : 0
  name        = "${var.name}-endpoints"
  description = "l4fwd interface endpoints"
  vpc_id      = local.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count                        = length(local.interface_endpoints) > 0 ? 1 : 0
  security_group_id            = aws_security_group.endpoints[0].id
  referenced_security_group_id = aws_security_group.instance.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = local.tags
}
