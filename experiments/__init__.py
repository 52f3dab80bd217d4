"""Launchers: ``python -m experiments.NAME --config.KEY=VALUE``, or ``mjxhuman run NAME``. No science inside."""

import os

# XLA logs a page about slow compilation and how to file a bug; what goes wrong is raised all the same.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
