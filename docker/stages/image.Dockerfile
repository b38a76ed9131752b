FROM $below AS $image
COPY --link --from=shared / /$parts
RUN --network=none --mount=type=bind,from=recipe,source=python,target=/run/python \
    --mount=type=bind,from=tools,source=/opt/tools,target=/opt/tools \
    /run/python/check-environment
USER notebook
