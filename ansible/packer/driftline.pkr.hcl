# An AMI of Debian 12 with the agent and the manifest baked in. Run it in this folder:
#
#   packer init . && packer build -var version=42 -var wheel=../../dist/driftline-….whl -var store=http://influxdb.example:8086 .
#
# Put your own provisioners where the comment says so: what is installed after bake.yml is drift.

packer {
  required_plugins {
    amazon = {
      source  = "github.com/hashicorp/amazon"
      version = ">= 1.3"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1"
    }
  }
}

variable "image" {
  type    = string
  default = "web"
}

variable "version" {
  type = string
}

variable "wheel" {
  type        = string
  description = "Driftline's wheel on this machine (make wheel)."
}

variable "store" {
  type        = string
  description = "Where the agents send to; the token comes with the instance, in /run/driftline/token."
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

variable "signing_key" {
  type        = string
  default     = ""
  description = "The private key on this machine that signs the manifest (drift image keygen); none by default."
}

locals {
  variables = {
    driftline_manifests     = abspath(path.root) # the trusted copy, for `drift report --manifests`
    driftline_signing_key   = var.signing_key == "" ? "" : abspath(var.signing_key)
    driftline_wheel         = abspath(var.wheel)
    driftline_image_name    = var.image
    driftline_image_version = var.version
    driftline_outputs       = [{ url = var.store, token_file = "/run/driftline/token" }]
  }
}

source "amazon-ebs" "image" {
  ami_name      = "${var.image}-${var.version}"
  region        = var.region
  instance_type = "t3.small"
  ssh_username  = "admin"
  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      virtualization-type = "hvm"
      root-device-type    = "ebs"
    }
    owners      = ["136693071363"] # Debian
    most_recent = true
  }
  tags = {
    "driftline:image" = "${var.image}@${var.version}"
  }
}

build {
  sources = ["source.amazon-ebs.image"]

  # Debian's cloud image has no venv module, and is still being configured when it first answers.
  provisioner "shell" {
    inline = [
      "cloud-init status --wait",
      "sudo apt-get update -q && sudo apt-get install -qy python3-venv",
    ]
  }

  # Your own provisioners stand here.

  # What first boot left behind belongs to the builder, not to the image.
  provisioner "shell" {
    inline = ["sudo cloud-init clean --logs --machine-id"]
  }

  # Last of all: the agent, and the manifest of everything.
  provisioner "ansible" {
    playbook_file   = "${path.root}/../bake.yml"
    use_proxy       = false
    extra_arguments = ["--extra-vars", jsonencode(local.variables)]
  }
}
