"""Imported once by a sandbox's warden: its runs are forks, and start with all of this there."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before numpy: threads do not live through a fork

import numpy  # noqa: E402, F401
import pandas  # noqa: E402, F401
import PIL.Image  # noqa: E402
import PIL.PngImagePlugin  # noqa: E402, F401
import pyarrow.parquet  # noqa: E402, F401
import sklearn.ensemble  # noqa: E402
import sklearn.feature_extraction.text  # noqa: E402
import sklearn.linear_model  # noqa: E402
import sklearn.metrics  # noqa: E402
import sklearn.neighbors  # noqa: E402
import sklearn.neural_network  # noqa: E402
import sklearn.preprocessing  # noqa: E402
import sklearn.tree  # noqa: E402, F401
