# The variant without public addresses on instances: a NAT gateway a zone, which has the pool.

resource "aws_nat_gateway" "this" {
  count                    = local.nat && var.vpc == null ? var.zones : 0
  subnet_id                = aws_subnet.public[count.index].id
  allocation_id            = aws_eip.pool[count.index * var.nat_addresses].id
  secondary_allocation_ids = var.nat_addresses == 1 ? null : slice(aws_eip.pool[*].id, count.index * var.nat_addresses + 1, (count.index + 1) * var.nat_addresses)
  tags                     = merge(local.tags, { Name = "${var.name}-${count.index}" })

  depends_on = [aws_route.internet]
}

resource "aws_route" "nat" {
  count                  = local.nat && var.vpc == null ? var.zones : 0
  route_table_id         = aws_route_table.private[count.index].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.this[count.index].id
}
