"""Everything about the distribution that pyproject.toml's [build-system] does not say."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "img_tools/__init__.py").read_text(), re.M)

setup(
    name="img-tools",
    version=VERSION[1] if VERSION else None,
    description="Check and clean a cloud VM before it is snapshotted into an image",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    install_requires=["click>=8.1", "distro>=1.8", "packaging>=22", "psutil>=5.9",
                      "pyyaml>=5.4"],
    extras_require={
        "test": ["pytest>=8", "pytest-xdist", "pytest-randomly",
                 "jsonschema>=4.18",
                 "html5lib", "junitparser", "markdown-it-py"],
        "lint": ["mypy>=1.11", "ruff>=0.6", "types-jsonschema", "types-psutil",
                 "types-PyYAML"],
        "dist": ["build"],
        "integrations": ["fabric>=3.2", "ansible-core>=2.15", "ansible-lint"],
    },
    packages=[*find_packages(include=["img_tools", "img_tools.*"]),
              "img_tools.checks", "img_tools.cleaners"],
    package_dir={"img_tools.checks": "checks", "img_tools.cleaners": "cleaners"},
    package_data={"img_tools": ["py.typed"], "img_tools.schema": ["*.json"]},
    entry_points={"console_scripts": ["img-check = img_tools.cli.check:main",
                                      "img-clean = img_tools.cli.clean:main"]},
)
