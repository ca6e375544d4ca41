# The agent's image. `python -m provision agent` fills build/image/ from uv.lock and builds this;
# nothing is fetched here, so what runs is what the lock file names.
FROM python:3.11-slim-bookworm

# The group has a number of its own as well: 999, which a system account gets, is on many a host
# that of the Docker socket, which is not to be open by chance.
RUN groupadd --gid 10001 healthagent \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin healthagent \
 && python3 -m venv --without-pip /opt/healthagent \
 && printf '#!/opt/healthagent/bin/python3\nfrom healthagent.cli import main\n\nmain()\n' \
      > /opt/healthagent/bin/healthagent \
 && chmod 755 /opt/healthagent/bin/healthagent \
 && install --directory --owner=healthagent --group=healthagent --mode=0750 \
      /run/healthagent /var/lib/healthagent

# Two layers, since the dependencies change seldom. Compiled here: the user may write nothing.
COPY build/image/dependencies/ /opt/healthagent/lib/python3.11/site-packages/
RUN python3 -m compileall -q -j 0 /opt/healthagent/lib
COPY build/image/project/ /opt/healthagent/lib/python3.11/site-packages/
RUN python3 -m compileall -q /opt/healthagent/lib/python3.11/site-packages/healthagent \
 && /opt/healthagent/bin/healthagent probe install /

# HEALTHPROBE_HTTP is what the HEALTHCHECK asks: an agent that listens elsewhere is given another one.
ENV PATH=/opt/healthagent/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    HEALTHPROBE_HTTP=http://127.0.0.1:9180/livez
EXPOSE 9180

# Whether the agent itself still judges. Its /readyz is another matter: an Engine that is away is no
# fault of the agent's.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/healthprobe", "--timeout", "2000"]

# To read the Docker socket without being root, give the container the socket's group:
# group_add in a Compose file, --group-add on the command line.
USER 10001
ENTRYPOINT ["healthagent"]
CMD ["watch"]
