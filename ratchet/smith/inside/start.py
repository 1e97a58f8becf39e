"""Unpacks in.tar, runs script.py with its arguments, and packs what it left in out/."""

import json
import os
import runpy
import sys
import tarfile

with open("arguments.json") as f:
    sys.argv = ["script.py", *json.load(f)]
with tarfile.open("in.tar") as archive:
    archive.extractall(filter="data")
os.remove("in.tar")
sys.path.insert(0, os.getcwd())
try:
    runpy.run_path("script.py", run_name="__main__")
finally:
    with tarfile.open("out.tar", "w") as archive:
        if os.path.isdir("out"):
            for folder, _, names in sorted(os.walk("out")):
                for name in sorted(names):
                    path = os.path.join(folder, name)
                    archive.add(path, os.path.relpath(path, "out"), recursive=False)
