# A trial of an upgrade: $image as it is there, and over it what other locks have otherwise. It is tried and thrown away.
FROM $base AS $stage
# hadolint ignore=DL3002
USER root
RUN --network=none --mount=type=bind,from=recipe,source=trial,target=/dev/trial \
    --mount=type=bind,from=recipe,source=lab,target=/dev/lab \
    --mount=type=bind,from=section.$stage.debs,target=/dev/section \
    /dev/trial/change-debs /dev/section /dev/lab
RUN --network=none --mount=type=bind,from=recipe,source=trial,target=/dev/trial \
    --mount=type=bind,from=section.$stage.python,target=/dev/section \
    /dev/trial/remove-distributions /dev/section
COPY --link --from=python-$stage /out /$r$gate
USER notebook
