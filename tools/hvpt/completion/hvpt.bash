# SPDX-FileCopyrightText: 2026 the hvpt authors
# SPDX-License-Identifier: MIT
# Completion of hvpt for bash: subcommands, options, formats, names. What words there are "hvpt COMMAND --help" says.
_hvpt() {
    local word=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]:-} words="" files=false
    # bash splits at "=": behind one there is a number, which nobody can guess
    [[ ${COMP_WORDS[COMP_CWORD - 1]} != = && $word != = ]] || return 0
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W "vmcs exit entry caps walk map --help --version" -- "$word")
        return
    fi
    case $command in
    vmcs) words="--json --cpu --caps --only --rules --help" files=true ;;
    exit)
        words="--json --help -f reason= qualification= gpa= linear= insn= intr= errcode= idt= idt_error= instruction_error="
        words+=" mbec= advanced= sss= gpv= code= exitinfo1= exitinfo2= exitintinfo= decode_assists= esr= far= hpfar="
        words+=" scause= stval= htval= htinst="
        ;;
    entry)
        words="--json --help -f ept npt stage2 gstage x86 level= pte pde pdpte pml4e pml5e l3 l2 l1 l0 maxphyaddr= cap="
        words+=" execute_only= 2m= 1g= mbec= paging_write= nxe= gmet= c_bit= granule= lpa2= xnx= svpbmt= svnapot= svadu= amd="
        ;;
    caps) words="--json --help -f --device" files=true ;;
    walk | map)
        words="--json --help ept npt stage2 gstage base= root= maxphyaddr= cap= mbec paging_write verify_guest_paging spp"
        words+=" levels= c_bit= no_nx gmet sss vtcr= granule= ipa_bits= lpa2 ha hd fwb xnx svpbmt svnapot svadu"
        if [[ $command == map ]]; then
            words+=" --svg --diff --audit --"
        else
            words+=" gpa= gva= access= cr0= cr3= cr4= efer= rflags= pat= tcr= ttbr0= ttbr1= sctlr= mair= hcr= spsr= vsatp="
            words+=" vsstatus= sstatus= henvcfg="
        fi
        files=true
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    if $files && [[ $word != -* ]]; then
        local found
        while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -f -- "$word")
    fi
    [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
}
complete -o filenames -F _hvpt hvpt
