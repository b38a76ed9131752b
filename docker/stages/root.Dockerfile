FROM scratch AS unpacked
ADD root.tar /

FROM unpacked AS configured
RUN --network=none --mount=type=bind,from=recipe,source=root,target=/run/root \
    --mount=type=bind,from=sections,source=root,target=/run/section \
    ["/usr/bin/sh", "/run/root/configure-root", "/run/section"]

FROM scratch AS root
COPY --from=configured / /
