/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * The headers' lists, for build.rs, which has the preprocessor print this file and makes Rust's lists of what lies
 * between HVPT_RS_ROW and HVPT_RS_END: the list's name, then strings. Nothing here is compiled.
 */
#include <hvctl/svm/caps.h>
#include <hvctl/svm/exit_list.h>
#include <hvctl/svm/vmcb.h>
#include <hvctl/vmx/control_list.h>
#include <hvctl/vmx/exit.h>
#include <hvctl/vmx/vmcs_fields.h>

/* What a macro says, as a string. */
#define STRING(text) STRING_OF(text)
#define STRING_OF(text) #text
#define NOTHING(member, at, type, count)

#define ROW(name, encoding, width, type, when, or_when) HVPT_RS_ROW vmx_fields #name #encoding #width HVPT_RS_END
HVCTL_VMCS_FIELDS(ROW)
#undef ROW

/* Controls are numbered by group: enum hvctl_vmx_group is above, and build.rs counts in it. */
#define ROW(group, name, bit, text) HVPT_RS_ROW vmx_controls #group #name #bit text HVPT_RS_END
HVCTL_VMX_CONTROLS(ROW)
#undef ROW

#define ROW(name, number, text) HVPT_RS_ROW vmx_reasons #name #number text HVPT_RS_END
HVCTL_VMX_EXIT_REASONS(ROW)
#undef ROW

/* Offsets in the page. */
#define ROW(member, at, type, clean) HVPT_RS_ROW svm_fields #member #at #type HVPT_RS_END
HVCTL_VMCB_CONTROL_FIELDS(ROW, NOTHING)
#undef ROW
#define ROW(member, at, type, clean) HVPT_RS_ROW svm_save_fields #member #at #type HVPT_RS_END
HVCTL_VMCB_SAVE_FIELDS(ROW, NOTHING)
#undef ROW

#define ROW(name, code) HVPT_RS_ROW svm_exits #name #code HVPT_RS_END
HVCTL_SVM_EXITS(ROW)
#undef ROW
#define ROW(name) HVPT_RS_ROW svm_exits #name STRING(HVCTL_SVM_EXIT_##name) HVPT_RS_END
ROW(HOST_SOFTWARE_RESERVED)
ROW(INVALID_PMC)
ROW(IDLE_REQUIRED)
ROW(BUSY)
ROW(INVALID)
#undef ROW

#define ROW(name, bit) HVPT_RS_ROW svm_features #name #bit HVPT_RS_END
HVCTL_SVM_FEATURES_EDX(ROW)
#undef ROW
#define ROW(name, bit) HVPT_RS_ROW svm_more_features #name #bit HVPT_RS_END
HVCTL_SVM_FEATURES_ECX(ROW)
