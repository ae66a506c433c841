"""Answers of apt for tests of cleaners."""

AUTOREMOVE = ("apt-get", "-q", "-s", "-o", "Debug::NoLocking=true", "-o", "Dir::Cache::pkgcache=",
              "-o", "Dir::Cache::srcpkgcache=", "autoremove")
NOTHING_UNNEEDED = {AUTOREMOVE: "Reading package lists...\n0 upgraded, 0 to remove.\n"}
