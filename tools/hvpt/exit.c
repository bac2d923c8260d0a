/* SPDX-FileCopyrightText: 2026 the hvpt authors */
/* SPDX-License-Identifier: MIT */
/*
 * hvpt exit: one VM exit in words. The work is core/exit.c's.
 */
#include "command.h"

static const char usage[] =
    "usage: hvpt exit [--json] NAME=NUMBER...|-f FILE|-\n"
    "\n"
    "Says in words what one VM exit, #VMEXIT or trap says. What is not given is not guessed.\n"
    "  VMX     reason= (a number or a name), qualification=, gpa=, linear=, insn=, intr=, errcode=, idt=, idt_error=;\n"
    "          instruction_error= after a VMLAUNCH or VMRESUME that failed\n"
    "          facts: mbec=0|1, advanced=0|1, sss=0|1, gpv=0|1\n"
    "  SVM     code= (a number or a name), exitinfo1=, exitinfo2=, exitintinfo=; fact: decode_assists=0|1\n"
    "  Arm     esr=, far=, hpfar=\n"
    "  RISC-V  scause=, stval=, htval=, htinst=\n"
    "A line of KVM's trace (\"kvm_exit: reason EPT_VIOLATION rip ... info1 ...\") is read as it is.\n"
    "0x1f, 1fh and 1f are hexadecimal; digits alone are decimal, but for exactly 8 or 16 of them.\n"
    "\n"
    "Exit status: 0 understood, 1 the exit says that something is broken, 2 not readable.\n";

int command_exit(int argc, char **argv)
{
    return command_words(core_exit, usage, argc, argv);
}
