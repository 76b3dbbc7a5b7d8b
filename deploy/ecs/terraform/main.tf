data "aws_region" "this" {}
data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  region = data.aws_region.this.name
  group  = "arn:${data.aws_partition.this.partition}:autoscaling:${local.region}:${data.aws_caller_identity.this.account_id}:autoScalingGroup:*:autoScalingGroupName/${var.autoscaling_group_name}"
  ec2    = "arn:${data.aws_partition.this.partition}:ec2:${local.region}:${data.aws_caller_identity.this.account_id}"

  # The definition beside this module, with what differs put in its place.
  definition = jsondecode(file("${path.module}/../task-definition.json"))
  container  = local.definition.containerDefinitions[0]
  environment = merge(
    { for e in local.container.environment : e.name => e.value },
    {
      AWS_REGION            = local.region
      L4FWD_UPSTREAM        = var.upstream
      L4FWD_EIP_POOL        = "tag:${var.pool_tag_key}=${var.name}"
      L4FWD_DRAIN_LAME_DUCK = "${var.lame_duck}s"
      L4FWD_DRAIN_TIMEOUT   = "${var.drain_timeout}s"
    },
    var.environment,
  )
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}"
  retention_in_days = var.log_retention_days
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "task" {
  name               = "${var.name}-task"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-execution"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

# The statements of deploy/iam, for this pool and this group.
data "aws_iam_policy_document" "task" {
  statement {
    sid       = "List"
    actions   = ["ec2:DescribeAddresses", "autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeLifecycleHooks"]
    resources = ["*"]
  }
  statement {
    sid       = "PoolOnly"
    actions   = ["ec2:AssociateAddress", "ec2:DisassociateAddress"]
    resources = ["${local.ec2}:elastic-ip/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/${var.pool_tag_key}"
      values   = [var.name]
    }
  }
  statement {
    sid       = "InterfacesTheyMayBeOn"
    actions   = ["ec2:AssociateAddress", "ec2:DisassociateAddress"]
    resources = ["${local.ec2}:network-interface/*", "${local.ec2}:instance/*"]
  }
  statement {
    sid       = "AnswerHooksOfOwnGroup"
    actions   = ["autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"]
    resources = [local.group]
  }
}

resource "aws_iam_role_policy" "task" {
  name   = "l4fwd"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.task.json
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = local.definition.requiresCompatibilities
  network_mode             = local.definition.networkMode
  cpu                      = local.definition.cpu
  memory                   = local.definition.memory
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([merge(local.container, {
    image       = var.image
    environment = [for k in sort(keys(local.environment)) : { name = k, value = local.environment[k] }]
    logConfiguration = merge(local.container.logConfiguration, {
      options = merge(local.container.logConfiguration.options, {
        "awslogs-group"  = aws_cloudwatch_log_group.this.name
        "awslogs-region" = local.region
      })
    })
  })])
}

# One task on each instance, since each instance holds one Elastic IP and a port is there once. Old before new: the port has to be free.
resource "aws_ecs_service" "this" {
  name                               = var.name
  cluster                            = var.cluster_arn
  task_definition                    = aws_ecs_task_definition.this.arn
  launch_type                        = "EC2"
  scheduling_strategy                = "DAEMON"
  deployment_minimum_healthy_percent = 50
  deployment_maximum_percent         = 100

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
}

output "task_role_arn" {
  description = "Role that l4fwd calls EC2 and Auto Scaling under."
  value       = aws_iam_role.task.arn
}

output "service_name" {
  value = aws_ecs_service.this.name
}
