# Sourced by build steps: points apt at the settings that this build was given as a secret, which may be missing.
# shellcheck shell=sh
if [ -s /run/secrets/apt ]; then export APT_CONFIG=/run/secrets/apt; fi
export DEBIAN_FRONTEND=noninteractive
# shellcheck source=/dev/null
if [ -s /run/secrets/proxy ]; then . /run/secrets/proxy; fi
# What it means for each archive is in apt's settings: apt would read it in a way of its own, and before them.
unset NO_PROXY no_proxy
