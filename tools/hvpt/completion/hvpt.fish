# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Completion of hvpt for fish: subcommands, options, formats, names. What words there are "hvpt COMMAND --help" says.
complete -c hvpt -n __fish_use_subcommand -f -a vmcs -d 'say why an entry failed'
complete -c hvpt -n __fish_use_subcommand -f -a exit -d 'say what one exit says'
complete -c hvpt -n __fish_use_subcommand -f -a entry -d 'say what a table entry holds'
complete -c hvpt -n __fish_use_subcommand -f -a caps -d 'say what capability MSRs and CPUID allow'
complete -c hvpt -n __fish_use_subcommand -f -a walk -d 'explain an address in a memory image'
complete -c hvpt -n __fish_use_subcommand -f -a map -d 'print, draw, compare or audit tables'
complete -c hvpt -n 'not __fish_use_subcommand' -l json -d 'for programs'
complete -c hvpt -n 'not __fish_use_subcommand' -l help -d 'what words there are'
complete -c hvpt -n '__fish_seen_subcommand_from vmcs' -x -l cpu -d 'the CPU is this model'
complete -c hvpt -n '__fish_seen_subcommand_from vmcs' -r -l caps -d 'the CPU has these capability MSRs'
complete -c hvpt -n '__fish_seen_subcommand_from vmcs' -x -l only -d 'only this dump of the log'
complete -c hvpt -n '__fish_seen_subcommand_from vmcs' -l rules -d 'the verdict of every rule'
complete -c hvpt -n '__fish_seen_subcommand_from caps' -r -l device -d "a CPU's msr device"
complete -c hvpt -n '__fish_seen_subcommand_from exit entry caps' -r -s f -d 'read a file'
complete -c hvpt -n '__fish_seen_subcommand_from exit' -f -a 'reason= qualification= gpa= linear= insn= intr= errcode= idt= idt_error= instruction_error= mbec= advanced= sss= gpv= code= exitinfo1= exitinfo2= exitintinfo= decode_assists= esr= far= hpfar= scause= stval= htval= htinst='
complete -c hvpt -n '__fish_seen_subcommand_from entry' -f -a 'ept npt stage2 gstage x86 level= pte pde pdpte pml4e pml5e l3 l2 l1 l0 maxphyaddr= cap= execute_only= 2m= 1g= mbec= paging_write= nxe= gmet= c_bit= granule= lpa2= xnx= svpbmt= svnapot= svadu= amd='
complete -c hvpt -n '__fish_seen_subcommand_from walk map' -a 'ept npt stage2 gstage base= root= maxphyaddr= cap= mbec paging_write verify_guest_paging spp levels= c_bit= no_nx gmet sss vtcr= granule= ipa_bits= lpa2 ha hd fwb xnx svpbmt svnapot svadu'
complete -c hvpt -n '__fish_seen_subcommand_from walk' -a 'gpa= gva= access= cr0= cr3= cr4= efer= rflags= pat= tcr= ttbr0= ttbr1= sctlr= mair= hcr= spsr= vsatp= vsstatus= sstatus= henvcfg='
complete -c hvpt -n '__fish_seen_subcommand_from map' -l svg -d 'draw the tree'
complete -c hvpt -n '__fish_seen_subcommand_from map' -l diff -d 'what two trees differ in'
complete -c hvpt -n '__fish_seen_subcommand_from map' -l audit -d 'what two guests share'
