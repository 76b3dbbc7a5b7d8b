data "aws_availability_zones" "available" {
  state = "available"

  filter { # local zones have neither NLB nor every endpoint
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

resource "aws_vpc" "this" {
  count                = var.vpc == null ? 1 : 0
  cidr_block           = var.vpc_cidr
  enable_dns_support   = true
  enable_dns_hostnames = true # private DNS of the interface endpoints
  tags                 = local.tags

  lifecycle {
    precondition {
      condition     = length(data.aws_availability_zones.available.names) >= var.zones
      error_message = "zones: ${local.region} has ${length(data.aws_availability_zones.available.names)} availability zones for this account, not ${var.zones}."
    }
  }
}

resource "aws_internet_gateway" "this" {
  count  = var.vpc == null ? 1 : 0
  vpc_id = aws_vpc.this[0].id
  tags   = local.tags
}

# Instances (or their NAT gateways): an Elastic IP works only where the internet gateway is the way out. map_public_ip_on_launch stays off; the launch
# template decides.
resource "aws_subnet" "public" {
  count             = var.vpc == null ? var.zones : 0
  vpc_id            = aws_vpc.this[0].id
  cidr_block        = cidrsubnet(var.vpc_cidr, 3, count.index)
  availability_zone = element(data.aws_availability_zones.available.names, count.index)
  tags              = merge(local.tags, { Name = "${var.name}-public-${count.index}" })
}

# Load balancer and interface endpoints: no route leaves the VPC. With NAT gateways the instances too, with a route to their zone's gateway.
resource "aws_subnet" "private" {
  count             = var.vpc == null ? var.zones : 0
  vpc_id            = aws_vpc.this[0].id
  cidr_block        = cidrsubnet(var.vpc_cidr, 3, 4 + count.index)
  availability_zone = element(data.aws_availability_zones.available.names, count.index)
  tags              = merge(local.tags, { Name = "${var.name}-private-${count.index}" })
}

resource "aws_route_table" "public" {
  count            = var.vpc == null ? 1 : 0
  vpc_id           = aws_vpc.this[0].id
  propagating_vgws = var.vpn_gateway_id != null ? [var.vpn_gateway_id] : null
  tags             = merge(local.tags, { Name = "${var.name}-public" })
}

resource "aws_route" "internet" {
  count                  = var.vpc == null ? 1 : 0
  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this[0].id
}

resource "aws_route_table_association" "public" {
  count          = var.vpc == null ? var.zones : 0
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_route_table" "private" {
  count            = var.vpc == null ? (local.nat ? var.zones : 1) : 0
  vpc_id           = aws_vpc.this[0].id
  propagating_vgws = local.nat && var.vpn_gateway_id != null ? [var.vpn_gateway_id] : null
  tags             = merge(local.tags, { Name = local.nat ? "${var.name}-private-${count.index}" : "${var.name}-private" })
}

resource "aws_route_table_association" "private" {
  count          = var.vpc == null ? var.zones : 0
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private[local.nat ? count.index : 0].id
}

# The APIs an instance needs before it holds an address.
resource "aws_vpc_endpoint" "interface" {
  for_each            = local.interface_endpoints
  vpc_id              = local.vpc_id
  service_name        = "com.amazonaws.${local.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = local.nlb_subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true
  tags                = merge(local.tags, { Name = "${var.name}-${each.key}" })
}

# The release, and the repositories of Amazon Linux, without a public address and free of charge.
resource "aws_vpc_endpoint" "s3" {
  count             = var.vpc == null || try(length(var.vpc.route_table_ids) > 0, false) ? 1 : 0
  vpc_id            = local.vpc_id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.vpc == null ? (local.nat ? aws_route_table.private[*].id : [aws_route_table.public[0].id]) : var.vpc.route_table_ids
  tags              = merge(local.tags, { Name = "${var.name}-s3" })
}
