# An image of Amazon Linux 2023 with l4fwd in it: a boot then needs no bucket and no download. README.md says how.

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3.0, < 2.0.0"
    }
  }
}

variable "archive" {
  description = "The release's .tar.gz for the architecture, verified before."
  type        = string
}

variable "sha256" {
  description = "Its checksum, from SHA256SUMS."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.sha256))
    error_message = "The sha256 is 64 lower-case hexadecimal digits, as sha256sum prints them."
  }
}

variable "version" {
  description = "The release's version: part of the image's name."
  type        = string
}

variable "region" {
  description = "Where the image is made and used."
  type        = string
}

variable "architecture" {
  description = "arm64 or x86_64: of the archive, and of the instances."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "The architecture is arm64 or x86_64."
  }
}

variable "subnet_id" {
  description = "Subnet of the machine that makes the image; null: of the default VPC."
  type        = string
  default     = null
}

variable "kms_key_id" {
  description = "Key for the image's volume; null: the account's default key."
  type        = string
  default     = null
}

locals {
  name = "l4fwd-${var.version}-${var.architecture}-${formatdate("YYYYMMDDhhmm", timestamp())}"
}

source "amazon-ebs" "l4fwd" {
  ami_name      = local.name
  region        = var.region
  instance_type = var.architecture == "arm64" ? "t4g.small" : "t3.small"
  subnet_id     = var.subnet_id
  ssh_username  = "ec2-user"
  imds_support  = "v2.0"
  encrypt_boot  = true
  kms_key_id    = var.kms_key_id

  source_ami_filter {
    owners      = ["amazon"]
    most_recent = true
    filters = {
      name                = "al2023-ami-2023.*-kernel-*-${var.architecture}"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  tags = {
    Name    = local.name
    version = var.version
    source  = "{{ .SourceAMIName }}"
  }
}

build {
  sources = ["source.amazon-ebs.l4fwd"]

  provisioner "file" {
    source      = var.archive
    destination = "/tmp/l4fwd.tar.gz"
  }

  provisioner "shell" {
    script           = "${path.root}/install.sh"
    execute_command  = "sudo env {{ .Vars }} bash {{ .Path }}"
    environment_vars = ["ARCHIVE=/tmp/l4fwd.tar.gz", "SHA256=${var.sha256}"]
  }
}
