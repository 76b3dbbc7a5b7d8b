# What moto lacks or keeps wrongly, taken out of the copy under test and nowhere else: with it every plan would show a change, or
# the apply fail. An override file replaces arguments and whole kinds of blocks of the resource of the same name.

resource "aws_lb" "this" {
  enforce_security_group_inbound_rules_on_private_link_traffic = null # not kept
}

resource "aws_autoscaling_group" "this" {
  default_instance_warmup = null # not kept

  dynamic "instance_maintenance_policy" { # not kept
    for_each = []
    content {
      min_healthy_percentage = 100
      max_healthy_percentage = 100
    }
  }

  dynamic "instance_refresh" { # moto answers StartInstanceRefresh with an error
    for_each = []
    content {
      strategy = "Rolling"
    }
  }
}

resource "aws_autoscaling_lifecycle_hook" "this" {
  lifecycle {
    ignore_changes = [notification_target_arn, role_arn] # made up
  }
}

resource "aws_autoscaling_policy" "connections" {
  count = 0 # every kind comes back with arguments made up
}

resource "aws_autoscaling_policy" "cpu" {
  count = 0
}

resource "aws_launch_template" "this" {
  tags = null # come back as a tag_specifications block of their own
}
