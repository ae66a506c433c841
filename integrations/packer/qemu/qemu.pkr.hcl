# The same for an image that is built on a machine of your own, in QEMU: from a cloud image on the
# disk, in a network that ends at this machine.
#
#   ssh-keygen -q -t ed25519 -N '' -f key
#   mkdir seed && : > seed/meta-data && : > seed/vendor-data
#   printf '#cloud-config\ndisable_root: false\nssh_authorized_keys: ["%s"]\n' "$(cat key.pub)" \
#       > seed/user-data
#   packer build -var base=debian-12-genericcloud-amd64.qcow2 -var base_sha256=... \
#       -var img_tools=img-tools-0.1.0-linux-x86_64 qemu
#
# Packer serves the seed to cloud-init; what the image keeps of that, the key too, img-clean removes.

variable "base" {
  description = "The cloud image to start from, a qcow2 file or a URL."
  type        = string
}

variable "base_sha256" {
  description = "Its SHA-256."
  type        = string
}

variable "accelerator" {
  description = "kvm, hvf, or tcg where neither works: that takes ten times as long."
  type        = string
  default     = "kvm"
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
  description = "What makes a bare system yours; runs as root."
  type        = string
  default     = "build.sh"
}

source "qemu" "image" {
  accelerator      = var.accelerator
  disk_image       = true
  iso_url          = var.base
  iso_checksum     = "sha256:${var.base_sha256}"
  skip_resize_disk = true
  format           = "qcow2"
  output_directory = "output"
  vm_name          = "image.qcow2"
  memory           = 1024
  cpus             = 2
  headless         = true
  boot_wait        = "1s"
  net_device       = "virtio-net"
  disk_discard     = "unmap"
  disk_interface   = "virtio"
  http_directory   = "seed"
  qemuargs = [
    ["-cpu", "max"],
    ["-smbios", "type=1,serial=ds=nocloud-net;s=http://{{ .HTTPIP }}:{{ .HTTPPort }}/"],
  ]
  ssh_username         = "root"
  ssh_private_key_file = "key"
  ssh_timeout          = "10m"
  shutdown_command     = "systemctl poweroff"
}

build {
  sources = ["source.qemu.image"]

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
}
