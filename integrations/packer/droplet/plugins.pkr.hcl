# For Packer 1.7 and newer, which fetch their plugins. Packer 1.6 has them built in and knows no such
# block, hence a file of its own.

packer {
  required_plugins {
    digitalocean = {
      source  = "github.com/digitalocean/digitalocean"
      version = ">= 1.0.0"
    }
  }
}
