# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
import re
from pathlib import Path

from conan import ConanFile
from conan.tools.files import copy


class Hvpt(ConanFile):
    name = "hvpt"
    description = "Second-level paging and control structures of hardware virtualization, as headers"
    license = "MIT"
    topics = ("hypervisor", "kernel", "virtualization", "ept", "header-only")
    package_type = "header-library"
    no_copy_source = True

    @property
    def tree(self):
        """The project: two folders above the recipe, or what was exported beside it."""
        exported = Path(self.export_sources_folder or "")
        return exported if (exported / "include").is_dir() else Path(self.recipe_folder).parent.parent

    def set_version(self):
        text = (Path(self.recipe_folder).parent.parent / "include/hvpt/version.h").read_text()
        self.version = re.search(r'HVPT_VERSION_STRING "(.*)"', text).group(1)

    def export_sources(self):
        root = Path(self.recipe_folder).parent.parent
        copy(self, "include/*", root, self.export_sources_folder)
        copy(self, "LICENSE", root, self.export_sources_folder)

    def package(self):
        copy(self, "include/*", self.tree, self.package_folder)
        copy(self, "LICENSE", self.tree, Path(self.package_folder) / "licenses")

    def package_id(self):
        self.info.clear()

    def package_info(self):
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        self.cpp_info.set_property("cmake_file_name", "hvpt")
        self.cpp_info.set_property("cmake_target_name", "hvpt::hvpt")
        self.cpp_info.set_property("pkg_config_name", "hvpt")
