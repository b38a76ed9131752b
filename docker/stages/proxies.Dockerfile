# The caching proxies of `nox -s proxies`. This step has a network, as lock's have, and no lab is made of it.
FROM tools AS proxies
RUN --mount=type=bind,from=recipe,source=lock,target=/run/lock --mount=type=bind,from=recipe,source=proxies,target=/run/proxies \
    --mount=type=secret,id=apt --mount=type=secret,id=sources --mount=type=secret,id=proxy --mount=type=secret,id=uv \
    --mount=type=secret,id=keys,target=/run/secrets/keys.asc,mode=0444 --mount=type=secret,id=ca,mode=0444 \
    /run/proxies/install-proxies
