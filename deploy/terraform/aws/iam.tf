data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  name_prefix        = "${var.name}-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
  tags               = local.tags
}

locals {
  policy = templatefile("${path.module}/policy.json.tftpl", {
    partition      = local.partition
    region         = local.region
    account        = local.account
    vpc_id         = local.vpc_id
    pool_tag_key   = var.pool_tag_key
    pool_tag_value = var.name
    asg_name       = local.asg_name
    asg_arn        = local.asg_arn
    claims         = !local.nat
  })
  artifact_s3 = try(startswith(var.artifact.source, "s3://"), false) ? trimprefix(var.artifact.source, "s3://") : null
}

resource "aws_iam_role_policy" "l4fwd" {
  name   = "l4fwd"
  role   = aws_iam_role.this.id
  policy = local.policy
}

data "aws_iam_policy_document" "artifact" {
  count = local.artifact_s3 != null ? 1 : 0
  statement {
    actions   = ["s3:GetObject"]
    resources = ["arn:${local.partition}:s3:::${local.artifact_s3}"]
  }
}

resource "aws_iam_role_policy" "artifact" {
  count  = local.artifact_s3 != null ? 1 : 0
  name   = "artifact"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.artifact[0].json
}

resource "aws_iam_role_policy_attachment" "session_manager" {
  count      = var.session_manager ? 1 : 0
  role       = aws_iam_role.this.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "this" {
  name_prefix = "${var.name}-"
  role        = aws_iam_role.this.name
  tags        = local.tags
}
