# The ECS module as a person would call it, for an endpoint on this machine (AWS_ENDPOINT_URL).
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region      = "us-west-2"
  max_retries = 3
}

resource "aws_ecs_cluster" "this" {
  name = "check"
}

module "l4fwd" {
  source                 = "./ecs/terraform"
  cluster_arn            = aws_ecs_cluster.this.arn
  autoscaling_group_name = "check"
  image                  = "l4fwd:1.2.3"
  upstream               = "dais24-aoai-demo.openai.azure.com:443"
  environment            = { L4FWD_LOG_ACCESS = "all" }
}

data "aws_ecs_task_definition" "registered" {
  task_definition = module.l4fwd.service_name
  depends_on      = [module.l4fwd]
}

output "registered" {
  value = data.aws_ecs_task_definition.registered.network_mode

  precondition {
    condition     = data.aws_ecs_task_definition.registered.network_mode == "host"
    error_message = "The task is not in host mode."
  }
}
