# Steps of trial.Dockerfile, where R packages of CRAN-like repositories differ. hadolint takes them for a whole file.
# Root runs nothing that it would find in the lab's own folder first, which packages fill.
# hadolint global ignore=DL3061
RUN --network=none /bin/rm -rf /usr/local/lib/R
COPY --link --from=$image-library /usr/local/lib/R /usr/local/lib/R
COPY --link --from=$image-library /usr/local/share/jupyter /usr/local/share/jupyter
RUN --network=none --mount=type=bind,from=recipe,source=r,target=/dev/r \
    --mount=type=bind,from=sections,source=$image.r,target=/dev/section \
    --mount=type=tmpfs,target=/tmp --mount=type=tmpfs,target=/var/tmp --mount=type=tmpfs,target=/run/lock \
    --mount=type=tmpfs,target=/home/notebook --mount=type=tmpfs,target=/opt/lab/added \
    HOME=/dev/shm/gate PATH=/usr/local/bin:/usr/bin:/bin \
    /usr/bin/setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs \
    Rscript --vanilla /dev/r/check-library /dev/section/library || exit 1
