# JupyterLab enters each image as the same layer, above Debian's packages: a new JupyterLab moves no R package.
FROM scratch AS shared
COPY --from=$part /out /
COPY --from=recipe lab/start-lab lab/check-health lab/list-added /usr/local/bin/
COPY --from=recipe lab/jupyter_server_config.py lab/lab_files.py lab/lab_kernels.py /etc/jupyter/
COPY --from=recipe lab/profile.sh /etc/profile.d/lab.sh
# Updates come as a new lock and new images, not as a question to whoever opens the lab.
COPY --from=recipe lab/overrides.json /opt/lab/share/jupyter/lab/settings/
