# The quickstart in a container, on CPUs: docker build -t paco-eval . && docker run --rm -v "$PWD/out:/out" paco-eval
FROM python:3.12-slim-bookworm
# What opencv links to.
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# torch without CUDA, a tenth of the size; for GPUs leave --index-url out.
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
COPY . .
RUN pip install --no-cache-dir .
WORKDIR /out
ENV PACO_CACHE=/tmp/paco-cache
ENTRYPOINT ["paco-eval"]
CMD ["quickstart", "--out", "/out"]
