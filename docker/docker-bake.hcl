# `nox -s build` fills these variables in. By hand, after it has run once:
#     docker buildx bake --file docker/docker-bake.hcl rlab
# Where a network needs a proxy, an index of its own or a private CA, SECRETS names the folder that says so.

variable "ROOT" { default = ".pyrlab/root" }         # the folder that holds root.tar
variable "PINS" { default = ".pyrlab/pins" }         # the sections of the locks
variable "REQUEST" { default = ".pyrlab/request" }   # what a lock is asked for
variable "SECRETS" { default = "" }                  # apt, sources, pip, uv, ca
variable "NETWORK" { default = "default" }           # "host" for servers on this machine's loopback
variable "PREFIX" { default = "" }
variable "LABELS" { default = "{}" }                 # JSON: {image: {label: value}}
variable "RUN" { default = "" }
variable "OPTIONS" { default = "" }
variable "HTTP_PROXY" { default = "" }
variable "HTTPS_PROXY" { default = "" }
variable "NO_PROXY" { default = "" }

group "default" { targets = ["pyrlab-base", "pylab", "rlab-base", "rlab"] }

target "root" {
  context           = ROOT
  dockerfile-inline = "FROM scratch\nADD root.tar /\n"
}

target "step" {
  context  = "docker"
  contexts = { root = "target:root", pins = PINS }
  network  = NETWORK
  args     = { HTTP_PROXY = HTTP_PROXY, HTTPS_PROXY = HTTPS_PROXY, NO_PROXY = NO_PROXY }
  secret   = SECRETS == "" ? [] : [for name in ["apt", "sources", "pip", "uv", "ca"] : "id=${name},src=${SECRETS}/${name}"]
}

target "lock" {
  inherits = ["step"]
  name     = "lock-${list}"
  matrix   = { list = ["debs", "python"] }
  target   = "lock-${list}"
  contexts = { request = REQUEST }
  args     = { run = RUN, options = OPTIONS }
  output   = ["type=local,dest=${REQUEST}/answer"]
}

target "wheels" {
  inherits = ["step"]
  name     = section
  matrix   = { section = ["jupyter", "part-0", "part-1", "part-2", "part-3", "part-4", "part-5"] }
  target   = "wheels"
  args     = { section = section }
  output   = ["type=cacheonly"]
}

target "image" {
  inherits = ["step"]
  name     = image
  matrix   = { image = ["pyrlab-base", "pylab", "rlab-base", "rlab"] }
  target   = image
  contexts = {
    jupyter = "target:jupyter"
    part-0  = "target:part-0"
    part-1  = "target:part-1"
    part-2  = "target:part-2"
    part-3  = "target:part-3"
    part-4  = "target:part-4"
    part-5  = "target:part-5"
  }
  tags = ["${PREFIX}${image}:latest"]
  labels = lookup(jsondecode(LABELS), image, {})
}
