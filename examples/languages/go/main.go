// SPDX-FileCopyrightText: 2026 the hvpt authors
// SPDX-License-Identifier: MIT

// EPT from Go, by cgo: maps 3 MiB, translates, and has a refused write explained.
package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../../include -DHVPT_EXTERN
#include <stdlib.h>

#include <hvpt/ept.h>

extern const struct hvpt_hooks example_hooks;
enum hvpt_status example_explain(const struct hvpt_space *space, hvpt_gpa gpa, uint32_t access, char *words, size_t size);
*/
import "C"

import (
	"fmt"
	"os"
	"strings"
	"unsafe"
)

func check(status C.enum_hvpt_status) {
	if status != C.HVPT_OK {
		fmt.Fprintln(os.Stderr, C.GoString(C.hvpt_status_text(status)))
		os.Exit(1)
	}
}

func main() {
	// C keeps pointers to a space and its hooks, so neither lives in Go's memory.
	space := (*C.struct_hvpt_space)(C.calloc(1, C.sizeof_struct_hvpt_space))
	defer C.free(unsafe.Pointer(space))
	config := C.struct_hvpt_ept_config{maxphyaddr: 46}
	check(C.hvpt_ept_init(space, &C.example_hooks, &config))

	ram := C.struct_hvpt_attr{perm: C.HVPT_READ | C.HVPT_WRITE | C.HVPT_EXEC, memtype: C.HVPT_MEM_WB}
	var flush C.struct_hvpt_flush
	check(C.hvpt_space_map(space, C.hvpt_make_gpa(0), C.hvpt_make_hpa(0x200000), 0x300000, ram, &flush))
	check(C.hvpt_space_protect(space, C.hvpt_make_gpa(0x2ff000), 4096, C.struct_hvpt_attr{}, C.HVPT_WRITE, &flush))
	C.hvpt_space_flush(space, &flush)

	fmt.Printf("EPTP bits 11:0 %x\n", uint64(C.hvpt_space_root(space))&0xfff)
	for _, gpa := range []uint64{0x1000, 0x2ff000} {
		var at C.struct_hvpt_mapping
		check(C.hvpt_space_translate(space, C.hvpt_make_gpa(C.uint64_t(gpa)), &at))
		fmt.Printf("guest %x is host %x, a page of %d\n", gpa, uint64(at.hpa.value), uint64(at.page_size))
	}
	words := (*C.char)(C.calloc(1, C.HVPT_EXPLAIN_SIZE))
	defer C.free(unsafe.Pointer(words))
	C.example_explain(space, C.hvpt_make_gpa(0x2ff000), C.HVPT_WRITE, words, C.HVPT_EXPLAIN_SIZE)
	lines := strings.Split(strings.TrimSpace(C.GoString(words)), "\n")
	fmt.Println(lines[len(lines)-1])
	C.hvpt_space_destroy(space)
}
