# Sourced by build steps: points apt at the settings that this build was given as a secret, which may be missing.
# shellcheck shell=sh
if [ -s /run/secrets/apt ]; then export APT_CONFIG=/run/secrets/apt; fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck source=/dev/null
if [ -s /run/secrets/proxy ]; then . /run/secrets/proxy; fi
