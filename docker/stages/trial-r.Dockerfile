# Steps of trial.Dockerfile, where R packages of CRAN-like repositories differ. hadolint takes them for a whole file.
# Root runs nothing that it would find in the lab's own folder first, which packages fill.
# hadolint global ignore=DL3061
RUN --network=none /bin/rm -rf /usr/local/lib/R
COPY --link --from=$image-library /usr/local/lib/R /usr/local/lib/R
COPY --link --from=$image-library /usr/local/share/jupyter /usr/local/share/jupyter$gate
