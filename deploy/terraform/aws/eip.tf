# The pool. Its addresses are in Azure's firewall: a destroy gives them away for good. No resource here associates them; each
# instance claims one, unless NAT gateways have them.
resource "aws_eip" "pool" {
  count            = local.pool_size
  domain           = "vpc"
  public_ipv4_pool = var.public_ipv4_pool
  ipam_pool_id     = var.ipam_pool_id
  tags             = merge(local.tags, local.pool_tag, { Name = "${var.name}-${count.index}" })
}
