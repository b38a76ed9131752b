# `nox -s build` puts what goes into the build into .pyrlab/ and fills these variables in. By hand, after it has run once:
#     docker buildx bake --file docker/docker-bake.hcl rlab
# Where a network needs a proxy, an index of its own or a private CA, SECRETS names the folder that says so.

variable "SECRETS" { default = "" }                  # apt, sources, pip, uv, ca
variable "PREFIX" { default = "" }
variable "TAG" { default = "latest" }                # nox -s build gives each project its own
variable "LABELS" { default = "{}" }                 # JSON: {image: {label: value}}
variable "RUN" { default = "" }                      # differs for each question of a lock
variable "OPTIONS" { default = "" }                  # pip-compile's
variable "HTTP_PROXY" { default = "" }
variable "HTTPS_PROXY" { default = "" }
variable "NO_PROXY" { default = "" }

group "default" { targets = ["pyrlab-base", "pylab", "rlab-base", "rlab"] }

target "step" {
  # Found from the context's own path, whatever it links to.
  context    = ".pyrlab/root"
  dockerfile = "../../docker/Dockerfile"
  contexts   = { docker = "docker", pins = ".pyrlab/pins", r-files = ".pyrlab/r-files" }
  args       = { HTTP_PROXY = HTTP_PROXY, HTTPS_PROXY = HTTPS_PROXY, NO_PROXY = NO_PROXY }
  secret     = SECRETS == "" ? [] : [for name in ["apt", "sources", "pip", "uv", "ca"] : "id=${name},src=${SECRETS}/${name}"]
}

target "lock" {
  inherits = ["step"]
  name     = "lock-${list}"
  matrix   = { list = ["debs", "files", "python"] }
  target   = "lock-${list}"
  contexts = { request = ".pyrlab/lock-${list}" }
  args     = { run = RUN, options = OPTIONS }
  output   = ["type=local,dest=.pyrlab/lock-${list}/answer"]
}

target "image" {
  inherits = ["step"]
  name     = image
  matrix   = { image = ["pyrlab-base", "pylab", "rlab-base", "rlab"] }
  target   = image
  tags     = ["${PREFIX}${image}:${TAG}"]
  labels   = lookup(jsondecode(LABELS), image, {})
  # Into the engine, whatever builder is in use.
  output   = ["type=docker"]
}
