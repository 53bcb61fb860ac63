//go:build soak && linux

package main

// #include <malloc.h>
import "C"

// heldByC returns the bytes that malloc has taken from the kernel, in use or free: SQLite's pages and statements.
func heldByC() uint64 {
	all := C.mallinfo2()
	return uint64(all.arena + all.hblkhd)
}
