# What makes a Debian system a place for labs: the locale, the user, the entry point.
# The home folder is open to every user id: a lab runs with the id of whoever owns the notebooks. It is where containers
# start, as the engine would make a missing folder as root: the notebooks are below, and made by the lab itself.
FROM $below AS $stage
RUN --network=none --mount=type=bind,from=recipe,source=lab,target=/dev/lab /dev/lab/make-user
ENV LANG=en_US.UTF-8 \
    PATH=/opt/lab/bin:$$PATH:/opt/lab/added/bin:/home/notebook/.local/bin \
    HOME=/home/notebook USER=notebook LOGNAME=notebook \
    VIRTUAL_ENV=/opt/lab \
    R_LIBS_USER=/opt/lab/added/R \
    JUPYTER_PATH=/opt/lab/added/share/jupyter JUPYTER_CONFIG_PATH=/opt/lab/added/etc/jupyter \
    JUPYTER_RUNTIME_DIR=/tmp/.lab-runtime \
    PORT=8888
WORKDIR /home/notebook
EXPOSE 8888
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s CMD ["check-health"]
ENTRYPOINT ["tini", "--", "start-lab"]
