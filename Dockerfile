# For a CPU:     docker build -t mindcv-convit .
# For an Ascend, with the MindSpore that fits the image's CANN (see docs/install.md):
#                docker build -t mindcv-convit --build-arg MINDSPORE=2.7.2 \
#                  --build-arg BASE_IMAGE=quay.io/ascend/cann:8.5.0-910b-ubuntu22.04-py3.11 .
ARG BASE_IMAGE=python:3.11
FROM ${BASE_IMAGE}
ARG MINDSPORE=2.10.0

WORKDIR /opt/mindcv-convit
COPY pyproject.toml setup.py README.md LICENSE ./
COPY mindcv mindcv
COPY configs configs
RUN pip install --no-cache-dir . mindspore==${MINDSPORE}

WORKDIR /workspace
CMD ["mindcv", "--help"]
