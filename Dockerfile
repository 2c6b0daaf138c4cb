# syntax=docker/dockerfile:1
# IOC for one PandA. Build it with: docker build -t panda-ioc:0.1.0 .   (or podman build --format docker ...)
ARG PYTHON=python:3.11-slim-bookworm

# All packages are wheels, pinned with hashes, so neither stage needs a compiler.
FROM ${PYTHON} AS build
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
COPY requirements-image.lock ./
RUN pip install --only-binary :all: --require-hashes --requirement requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && pip install --no-deps --no-index /wheels/*.whl
COPY container/slim.py ./
RUN python slim.py /venv/sbom.cdx.json && python -m compileall -q /venv/lib

FROM ${PYTHON}
LABEL org.opencontainers.image.title="panda-ioc" \
      org.opencontainers.image.description="EPICS IOC, client library and simulator for PandA hardware" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
COPY --from=build /venv /venv
COPY --chmod=0755 container/start.sh container/stop.sh container/liveness.sh container/startup.sh /epics/ioc/
# The container runs as any user.
RUN mkdir -p /epics/ioc/config /epics/opi /epics/runtime /autosave /data \
    && chmod 0777 /epics/opi /epics/runtime /autosave /data
ENV PATH=/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PANDA_IOC_ALIVE_FILE=/tmp/panda-ioc.alive
WORKDIR /tmp
USER 10001:0
# Ports of Channel Access and PV Access.
EXPOSE 5064/tcp 5064/udp 5075/tcp 5076/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s CMD ["/epics/ioc/liveness.sh"]
CMD ["/epics/ioc/start.sh"]
