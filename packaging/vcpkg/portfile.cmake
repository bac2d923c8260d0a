# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Fill in the address that the release's archive has, and its SHA512 (scripts/release prints it). HVPT_ARCHIVE, a file, stands
# in for the download.
if(DEFINED ENV{HVPT_ARCHIVE})
  set(archive "$ENV{HVPT_ARCHIVE}")
else()
  vcpkg_download_distfile(archive
    URLS "$ENV{HVPT_RELEASES}/hvpt-${VERSION}.tar.gz"
    FILENAME "hvpt-${VERSION}.tar.gz"
    SHA512 0)
endif()
vcpkg_extract_source_archive(source ARCHIVE "${archive}")

set(VCPKG_BUILD_TYPE release) # headers: one build is enough
vcpkg_cmake_configure(SOURCE_PATH "${source}")
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/hvpt)
vcpkg_fixup_pkgconfig()
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib" "${CURRENT_PACKAGES_DIR}/debug" "${CURRENT_PACKAGES_DIR}/share/licenses")
vcpkg_install_copyright(FILE_LIST "${source}/LICENSE")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
