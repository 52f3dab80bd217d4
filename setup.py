"""Which packages a wheel holds; everything else about the project is in pyproject.toml.

The launchers and their configurations lie at the top of the repository and are installed inside the package, so that
they are reachable (``mjxhuman run``) and take no names of their own among the installed packages.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["mjxhuman*"]),
        *(f"mjxhuman.{name}" for name in find_packages(include=["experiments*", "configs*"])),
    ],
    package_dir={"mjxhuman.experiments": "experiments", "mjxhuman.configs": "configs"},
)
