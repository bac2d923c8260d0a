/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/* The version that hvpt and hvctl share, by Semantic Versioning; CHANGELOG.md tells what changed. */
#ifndef HVPT_VERSION_H
#define HVPT_VERSION_H

#define HVPT_VERSION_MAJOR 0
#define HVPT_VERSION_MINOR 2
#define HVPT_VERSION_PATCH 0
#define HVPT_VERSION_STRING "0.2.0"

/* To compare with: #if HVPT_VERSION >= HVPT_MAKE_VERSION(0, 2, 0). minor and patch are below 1000. */
#define HVPT_MAKE_VERSION(major, minor, patch) ((major) * 1000000 + (minor) * 1000 + (patch))
#define HVPT_VERSION HVPT_MAKE_VERSION(HVPT_VERSION_MAJOR, HVPT_VERSION_MINOR, HVPT_VERSION_PATCH)

/* The same for languages and debuggers that do not see macros. */
enum hvpt_version { HVPT_VERSION_NUMBER = HVPT_VERSION };

#endif
