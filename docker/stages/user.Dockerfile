# What makes a Debian system a place for labs: the locale, the user, the entry point.
# The home folder is open to every user id: a lab runs with the id of whoever owns the notebooks.
FROM $below AS $stage
RUN --network=none --mount=type=bind,from=recipe,source=lab,target=/dev/lab /dev/lab/make-user
ENV LANG=en_US.UTF-8 \
    PATH=/opt/lab/bin:$$PATH \
    HOME=/home/notebook USER=notebook LOGNAME=notebook \
    VIRTUAL_ENV=/opt/lab \
    PORT=8888 \
    TENSORBOARD_PROXY_URL=/proxy/%PORT%/
WORKDIR /home/notebook/notebooks
EXPOSE 8888
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD ["check-health"]
ENTRYPOINT ["tini", "--", "start-lab"]
