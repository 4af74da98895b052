# Untested where it was written: no Docker engine runs there. It installs exactly what `make venv` does.
FROM python:3.13-slim
RUN apt-get update && apt-get install -y --no-install-recommends make git gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /urfr_tf
COPY requirements/tf2.txt requirements/tf2.txt
RUN python -m venv .venv && .venv/bin/pip install --no-cache-dir --require-hashes -r requirements/tf2.txt
COPY . .
RUN make venv
ENV PATH="/urfr_tf/.venv/bin:$PATH"
ENTRYPOINT ["urfr"]
CMD ["--help"]
