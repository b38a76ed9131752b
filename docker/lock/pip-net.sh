# Sourced by build steps: points pip at the settings that this build was given as secrets.
# All of them are optional, so that `docker buildx bake` works by hand too.
# shellcheck shell=sh
if [ -s /run/secrets/pip ]; then export PIP_CONFIG_FILE=/run/secrets/pip; fi
if [ -s /run/secrets/ca ]; then
    export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca REQUESTS_CA_BUNDLE=/run/secrets/ca
fi
# shellcheck source=/dev/null
if [ -s /run/secrets/proxy ]; then . /run/secrets/proxy; fi
