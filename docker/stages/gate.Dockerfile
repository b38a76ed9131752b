# The last step of image.Dockerfile and of trial.Dockerfile. hadolint takes it for a whole file.
# hadolint global ignore=DL3061
RUN --network=none --mount=type=bind,from=recipe,source=python,target=/dev/python \
    --mount=type=bind,from=tools,source=/opt/tools,target=/dev/tools \
    --mount=type=tmpfs,target=/tmp --mount=type=tmpfs,target=/var/tmp --mount=type=tmpfs,target=/run/lock \
    --mount=type=tmpfs,target=/home/notebook --mount=type=tmpfs,target=/opt/lab/added \
    /dev/python/check-environment /dev/tools/bin/uv
