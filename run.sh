#!/bin/sh
# ByteMLPerf's entry: ./run.sh --task resnet50-torch-fp32 --hardware_type XXX
# PYTHON names the interpreter; without it that of .venv beside this file, else python3.
here=$(dirname -- "$0")
if [ -z "$PYTHON" ] && [ -z "$VIRTUAL_ENV" ] && [ -x "$here/.venv/bin/python" ]; then
    PYTHON=$here/.venv/bin/python
fi
exec "${PYTHON:-python3}" "$here/launch.py" "$@"
