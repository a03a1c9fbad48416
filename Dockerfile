# syntax=docker/dockerfile:1
# Two images: `api` (no torch) and `worker` (torch with CUDA).
#   docker build --target api -t tandem-api .
#   docker build --target worker -t tandem-worker .
ARG PYTHON_VERSION=3.12

FROM python:${PYTHON_VERSION}-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/opt/venv/bin:$PATH
# A fixed id, so that a volume's files have the same owner in every image.
RUN groupadd --gid 10001 tandem \
    && useradd --uid 10001 --gid tandem --no-create-home --home-dir /data --shell /usr/sbin/nologin tandem \
    && install --directory --owner tandem --group tandem /data

FROM base AS build
WORKDIR /src
RUN python -m venv /opt/venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY tandem_engine ./tandem_engine
COPY service ./service
COPY migrations ./migrations

FROM build AS build-api
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --constraint constraints.txt ".[remote,service]"

FROM build AS build-worker
COPY worker ./worker
# The constraint keeps torch at the tested release; on Linux the index offers its CUDA build.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir --constraint constraints.txt ".[worker]"

FROM base AS api
COPY --from=build-api /opt/venv /opt/venv
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["python", "-m", "service.main", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS worker
COPY --from=build-worker /opt/venv /opt/venv
USER 10001:10001
WORKDIR /data
VOLUME /data
# A broker that answers a ping shows that the worker consumes; the engine may be busy for days.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "celery --app worker.app inspect ping --destination \"celery@$(hostname)\" --timeout 10"]
CMD ["celery", "--app", "worker.app", "worker", "--loglevel", "INFO", "--concurrency", "1"]
