# The gate of r.Dockerfile and of trial-r.Dockerfile. hadolint takes it for a whole file.
# hadolint global ignore=DL3061
RUN --network=none --mount=type=bind,from=recipe,source=r,target=/dev/r \
    --mount=type=bind,from=section.$image.r,target=/dev/section \
    --mount=type=tmpfs,target=/tmp --mount=type=tmpfs,target=/var/tmp --mount=type=tmpfs,target=/run/lock \
    --mount=type=tmpfs,target=/home/notebook --mount=type=tmpfs,target=/opt/lab/added \
    HOME=/dev/shm/gate PATH=/usr/local/bin:/usr/bin:/bin \
    /usr/bin/setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs \
    Rscript --vanilla /dev/r/check-library /dev/section/library || exit 1
