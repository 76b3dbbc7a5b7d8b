locals {
  region    = data.aws_region.current.id
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  tags      = merge({ Name = var.name }, var.tags)
  pool_tag  = { (var.pool_tag_key) = var.name }
  nat       = var.egress == "nat_gateway"
  pool_size = local.nat ? (var.vpc == null ? var.zones * var.nat_addresses : 0) : coalesce(var.pool_size, var.size.max + var.surge)

  forward_ports = var.forward_ports != null ? var.forward_ports : var.listen_ports

  asg_name = var.name
  asg_arn  = "arn:${local.partition}:autoscaling:${local.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/${local.asg_name}"

  principals = var.allowed_principals != null ? var.allowed_principals : [
    "arn:${local.partition}:iam::565502421330:role/private-connectivity-role-${local.region}"
  ]

  vpc_id              = var.vpc != null ? var.vpc.id : aws_vpc.this[0].id
  instance_subnet_ids = var.vpc != null ? var.vpc.instance_subnet_ids : (local.nat ? aws_subnet.private[*].id : aws_subnet.public[*].id)
  nlb_subnet_ids      = var.vpc != null ? var.vpc.nlb_subnet_ids : aws_subnet.private[*].id
  interface_endpoints = var.interface_endpoints != null ? var.interface_endpoints : toset(var.public_address_at_boot || local.nat ? [] : ["ec2", "autoscaling"])
}
