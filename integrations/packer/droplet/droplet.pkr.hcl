# One image for each of several distributions, built on Droplets side by side, cleaned and checked;
# a snapshot is taken of those that pass.
#
#   export DIGITALOCEAN_ACCESS_TOKEN=...
#   packer init droplet        # Packer 1.6 needs and knows none: build droplet/droplet.pkr.hcl there
#   packer build -var img_tools=img-tools-0.1.0-linux-x86_64 droplet

variable "digitalocean_token" {
  description = "Comes from the environment: it has no place in a template."
  type        = string
  default     = env("DIGITALOCEAN_ACCESS_TOKEN")
  sensitive   = true
}

variable "img_tools" {
  description = "File or https URL of img-tools: the single file fits all, a .deb or .rpm its own."
  type        = string
}

variable "img_tools_sha256" {
  description = "Its SHA-256; a URL must have one."
  type        = string
  default     = ""
}

variable "img_clean_options" {
  description = "More options of img-clean, separated by blanks."
  type        = string
  default     = ""
}

variable "build_script" {
  description = "What makes a bare Droplet yours; runs as root."
  type        = string
  default     = "build.sh"
}

variable "name" {
  description = "Begins the names of the snapshots."
  type        = string
  default     = "my-app"
}

locals {
  stamp = formatdate("YYYYMMDDhhmm", timestamp())
}

source "digitalocean" "droplet" {
  api_token    = var.digitalocean_token
  region       = "nyc3"
  size         = "s-1vcpu-512mb-10gb" # the smallest disk: an image fits no smaller one than its own
  ssh_username = "root"
}

build {
  source "source.digitalocean.droplet" {
    name          = "debian-12"
    image         = "debian-12-x64"
    snapshot_name = "${var.name}-debian-12-${local.stamp}"
  }
  source "source.digitalocean.droplet" {
    name          = "ubuntu-24-04"
    image         = "ubuntu-24-04-x64"
    snapshot_name = "${var.name}-ubuntu-24-04-${local.stamp}"
  }
  source "source.digitalocean.droplet" {
    name          = "rockylinux-9"
    image         = "rockylinux-9-x64"
    snapshot_name = "${var.name}-rockylinux-9-${local.stamp}"
  }

  provisioner "shell" {
    inline           = ["cloud-init status --wait"]
    valid_exit_codes = [0, 2] # 2: done, with complaints that do not matter here
  }
  provisioner "shell" {
    script = var.build_script
  }

  # The rest is img-tools. To have it in a template of yours, copy this, the variables of img_tools
  # and the three scripts. It must come last: what follows it is in the image, uncleaned.
  provisioner "shell-local" {
    environment_vars = [
      "SOURCE=${var.img_tools}",
      "SHA256=${var.img_tools_sha256}",
      "TARGET=${path.root}/.img-tools",
    ]
    script = "${path.root}/../fetch.sh"
  }
  provisioner "file" {
    source      = "${path.root}/.img-tools"
    destination = "/run/img-tools.upload"
    generated   = true
  }
  provisioner "shell" {
    script           = "${path.root}/../img-tools.sh"
    environment_vars = ["IMG_CLEAN_OPTIONS=${var.img_clean_options}"]
    remote_folder    = "/run"
    execute_command  = "{{ .Vars }} sh {{ .Path }}" # /run may be mounted noexec
  }
  provisioner "file" {
    direction   = "download"
    source      = "/run/img-tools/report.json"
    destination = "report-${source.name}.json"
  }
  provisioner "shell" {
    script          = "${path.root}/../verdict.sh"
    remote_folder   = "/run"
    execute_command = "sh {{ .Path }}"
  }

  post-processor "manifest" {
    output = "manifest.json" # the ids of the snapshots, to submit
  }
}
