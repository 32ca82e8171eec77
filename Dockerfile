# Rootkeeper's image: a virtual environment made from hashes, on a Python without tools to install more.
#
# The base is named by its tag, not its digest, so that a rebuild takes the distribution's security
# fixes; what runs on it is pinned by the hashes in requirements.lock. Pin the digest in your own
# registry if your policy asks for it. tests/scenario/test_install.py runs the builder's commands.

FROM python:3.11-slim-bookworm AS builder
WORKDIR /build
COPY requirements.lock ./
RUN python3 -m venv /opt/rootkeeper
RUN /opt/rootkeeper/bin/python -m pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements.lock
# The wheel is made in an environment of its own: what builds the program does not run beside it.
COPY requirements-build.lock ./
RUN python3 -m venv builder
RUN builder/bin/python -m pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY bot ./bot
RUN builder/bin/python -m pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels .
RUN /opt/rootkeeper/bin/python -m pip install --no-cache-dir --no-deps --no-index wheels/*.whl
# Byte code is made here, because the running container can write none; without dates, because copying
# into the final stage may change them.
RUN /opt/rootkeeper/bin/python -m compileall -q -f --invalidation-mode unchecked-hash /opt/rootkeeper/lib
RUN /opt/rootkeeper/bin/python -m pip uninstall --yes --quiet pip setuptools

FROM python:3.11-slim-bookworm
# What nobody needs here, an intruder would.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.11/ensurepip /usr/local/lib/python3.11/site-packages/* \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/rootkeeper
COPY --from=builder /opt/rootkeeper /opt/rootkeeper
# Writable, everything else may be read-only: the record, and /tmp for libraries.
# Two pools of memory for all threads instead of eight for each core: 8 MiB less after some looks.
ENV PATH=/opt/rootkeeper/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2
WORKDIR /var/lib/rootkeeper
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["rootkeeper"]
CMD ["run"]
