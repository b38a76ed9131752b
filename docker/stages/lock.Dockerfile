# Questions that are answered where the packages will live: answers leave as files, no image is made. `run` differs each
# time, so that no answer is an old one. These steps have a network, and nothing that an image is made of.
FROM root AS lock-debs-run
ARG run
RUN --mount=type=bind,from=recipe,source=lock,target=/run/lock --mount=type=bind,from=request,target=/run/request \
    --mount=type=secret,id=apt --mount=type=secret,id=sources --mount=type=secret,id=r-sources \
    --mount=type=secret,id=keys,target=/run/secrets/keys.asc,mode=0444 \
    --mount=type=secret,id=proxy --mount=type=secret,id=ca,mode=0444 \
    --mount=type=cache,id=$cache-apt,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=$cache-lists,target=/var/lib/apt/lists,sharing=locked \
    : "$$run" && /run/lock/lock-debs /run/request /out

FROM scratch AS lock-debs
COPY --from=lock-debs-run /out /

FROM tools AS lock-python-run
ARG run
ARG options
RUN --mount=type=bind,from=recipe,source=lock,target=/run/lock --mount=type=bind,from=request,target=/run/request \
    --mount=type=secret,id=uv --mount=type=secret,id=proxy --mount=type=secret,id=ca,mode=0444 \
    --mount=type=cache,id=$cache-uv,target=/var/cache/pyrlab-uv,sharing=locked \
    : "$$run" && /run/lock/lock-python /run/request /out $$options

FROM scratch AS lock-python
COPY --from=lock-python-run /out /
