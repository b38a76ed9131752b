# `lock` learns from here what a base image is, before anything stands on it.
FROM root AS describe-run
RUN --network=none --mount=type=bind,from=recipe,source=lock,target=/run/lock /run/lock/describe-base /out

FROM scratch AS describe
COPY --from=describe-run /out /
