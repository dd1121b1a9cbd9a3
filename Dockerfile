# syntax=docker/dockerfile:1
# One image for web server, daemon and code location; compose.yaml says what each runs. docs/DEPLOYMENT.md.

ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# Where PyTorch comes from: its CPU build is 200 MB, PyPI's for Linux brings gigabytes of CUDA along.
# For NVIDIA cards: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# The extras to install beside the package; postgres is what compose.yaml needs.
ARG EXTRAS=postgres
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:${PATH}
WORKDIR /opt/lt4rec
COPY requirements.lock ./
# What the lock says of PyTorch and of setuptools, first: neither changes with the code.
RUN grep -E '^torch==' requirements.lock > /tmp/torch.txt \
    && pip install --no-deps --index-url "${TORCH_INDEX}" -r /tmp/torch.txt \
    && grep -E '^setuptools==' requirements.lock > /tmp/setuptools.txt \
    && pip install -r /tmp/setuptools.txt
COPY pyproject.toml README.md LICENSE ./
COPY lt4rec_core ./lt4rec_core
COPY lt4rec_assets ./lt4rec_assets
# The lock's versions of what the package needs, without the tools of those who develop it.
RUN pip install --no-build-isolation -c requirements.lock -e ".[${EXTRAS}]"

FROM ${PYTHON_IMAGE}
# A fixed number, so that the files of a shared home belong to the same user on every host.
RUN groupadd --gid 10001 lt4rec \
    && useradd --uid 10001 --gid lt4rec --no-log-init --create-home lt4rec \
    && install -d -o lt4rec -g lt4rec /var/lib/lt4rec /logs
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/lt4rec /opt/lt4rec
# SQL, Dagster's template and the workspace are read from beside the packages.
COPY sql /opt/lt4rec/sql
COPY dagster.yaml /opt/lt4rec/
COPY deploy/workspace.yaml /opt/lt4rec/deploy/
ENV PATH=/opt/venv/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    LT4REC_HOME=/var/lib/lt4rec \
    DAGSTER_HOME=/var/lib/lt4rec/dagster
# Away from /opt/lt4rec: a .env there would be read.
WORKDIR /var/lib/lt4rec
USER 10001:10001
VOLUME /var/lib/lt4rec
EXPOSE 3000 4000
# By itself the image is a code location; compose.yaml gives every service a check of its own.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["dagster", "api", "grpc-health-check", "-p", "4000"]
CMD ["dagster", "api", "grpc", "-m", "lt4rec_assets.definitions", "-h", "0.0.0.0", "-p", "4000"]
