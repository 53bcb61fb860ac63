package bundle

import (
	"bytes"
	"reflect"
	"strconv"
	"strings"

	"github.com/fxamacker/cbor/v2"
)

// A fault in the manifest names the element by keys and indices with dots between them ("parts.0.open.leaf"), and the
// place of its bytes. Both are determined from the bytes only after a check has failed.

// span is a range of bytes in the manifest. If its length is 0, its end is not known.
type span struct{ at, n int }

// over gives the range from the beginning of one span to the end of the other.
func (s span) over(o span) span {
	from, to := min(s.at, o.at), max(s.at+s.n, o.at+o.n)
	return span{from, to - from}
}

// element is one element of a map or list.
type element struct {
	name string // key or index
	key  int    // where its key begins; in a list, where the element itself begins
	span
}

// find gives the place of the element of a path. If the element is missing, it gives the place of the map or list that
// should have it.
func find(raw []byte, path string) span {
	here := span{0, len(raw)}
	for name := range strings.SplitSeq(path, ".") {
		for _, e := range elements(raw, here) {
			if e.name == name {
				here = e.span
			}
		}
	}
	return here
}

// elements lists the elements of a map or list as far as they can be read. If the last one cannot be read, its length
// is 0.
func elements(raw []byte, in span) (out []element) {
	part := raw[in.at : in.at+in.n]
	isMap, count, head := container(part)
	for at := head; len(out) < count; {
		e := element{name: strconv.Itoa(len(out)), key: in.at + at}
		if isMap {
			rest, err := decMode.UnmarshalFirst(part[at:], &e.name)
			if err != nil {
				return append(out, element{key: in.at + at, span: span{in.at + at, 0}})
			}
			at = len(part) - len(rest)
		}
		e.span = span{in.at + at, sizeOf(part[at:])}
		if out, at = append(out, e), at+e.n; e.n == 0 {
			break
		}
	}
	return out
}

// container reads the head of a map or list. The limits allow at most two bytes of count.
func container(raw []byte) (isMap bool, count, head int) {
	if len(raw) < 3 || raw[0]>>5 != 4 && raw[0]>>5 != 5 {
		return false, 0, 0
	}
	switch n := int(raw[0] & 31); n {
	case 24:
		count, head = int(raw[1]), 2
	case 25:
		count, head = int(raw[1])<<8|int(raw[2]), 3
	default:
		count, head = n, 1
	}
	return raw[0]>>5 == 5, count, head
}

// sizeOf gives the length of the first value in bytes, or 0 if it cannot be read.
func sizeOf(raw []byte) int {
	var one cbor.RawMessage
	rest, err := decMode.UnmarshalFirst(raw, &one)
	if err != nil {
		return 0
	}
	return len(raw) - len(rest)
}

// unread finds the first element that cannot be read as its type. If a length or count is wrong, everything after it is
// misaligned. Then the fault lies somewhere after the last good key.
func unread(raw []byte, in span, as reflect.Type, path string) (string, span) {
	_, count, head := container(raw[in.at : in.at+in.n])
	fixed := as.Kind() == reflect.Struct
	if least, most := fields(as); fixed && head > 0 && (count < least || count > most) {
		return path, span{in.at, head}
	}
	seen, good, all := map[string]bool{}, in.at, elements(raw, in)
	for _, e := range all {
		want, known := member(as, e.name)
		known = known && !seen[e.name]
		name := strings.TrimPrefix(path+"."+e.name, ".")
		switch {
		case known && e.n > 0 && exact(raw[e.at:e.at+e.n], reflect.New(want).Interface()) == nil:
		case known && e.n > 0 && (fixed || len(elements(raw, e.span)) > 0):
			return unread(raw, e.span, want, name)
		case fixed && len(all) == count && all[count-1].at+all[count-1].n == in.at+in.n: // aligned, so the key is wrong
			return path, span{e.key, e.at - e.key}
		default:
			return path, span{at: good}
		}
		if seen[e.name] = true; fixed {
			good = e.key
		}
	}
	if n := sizeOf(raw[in.at : in.at+in.n]); n > 0 && n < in.n { // it is good, and something follows
		return path, span{in.at + n, in.n - n}
	}
	return path, in
}

// fields gives the least and the largest number of elements of a struct.
func fields(as reflect.Type) (least, most int) {
	if as.Kind() != reflect.Struct {
		return 0, 0
	}
	for f := range as.Fields() {
		if most++; !strings.HasSuffix(f.Tag.Get("cbor"), ",omitempty") {
			least++
		}
	}
	return least, most
}

// member gives the type of the element with a name.
func member(of reflect.Type, name string) (reflect.Type, bool) {
	switch of.Kind() {
	case reflect.Slice:
		return of.Elem(), true
	case reflect.Struct:
		for f := range of.Fields() {
			if tag, _, _ := strings.Cut(f.Tag.Get("cbor"), ","); tag != name {
				continue
			}
			if f.Type.Kind() == reflect.Pointer {
				return f.Type.Elem(), true
			}
			return f.Type, true
		}
	}
	return nil, false
}

// unlike gives the place where the bytes differ from the one encoding, and the element there.
func unlike(raw, again []byte) (path string, at span) {
	n := 0
	for n < min(len(raw), len(again)) && raw[n] == again[n] {
		n++
	}
	for here := (span{0, len(raw)}); ; {
		i := len(path)
		for _, e := range elements(raw, here) {
			if e.key <= n && n < e.at+e.n {
				path, here = strings.TrimPrefix(path+"."+e.name, "."), e.span
			}
		}
		if len(path) == i {
			return path, span{at: n}
		}
	}
}

// misread gives the place in a manifest that cannot be read.
func misread(raw []byte) (path string, at span) {
	var m manifest
	if decMode.Unmarshal(raw, &m) != nil {
		return unread(raw, span{0, len(raw)}, reflect.TypeFor[manifest](), "")
	}
	m.plain()
	again, err := encMode.Marshal(&m)
	if err != nil || bytes.Equal(again, raw) {
		return "", span{0, len(raw)}
	}
	return unlike(raw, again)
}

// before gives the subtrees that an inclusion proof has on the left of its leaf, smallest first. They are the
// subtrees of the tree to which the leaf was appended (RFC 9162 section 2.1.3.2).
func before(index, size uint64, proof [][32]byte) (left [][32]byte) {
	for at, last := index, size-1; len(proof) > 0; proof = proof[1:] {
		if at&1 == 1 || at == last {
			left = append(left, proof[0])
			for at&1 == 0 && at != 0 {
				at, last = at>>1, last>>1
			}
		}
		at, last = at>>1, last>>1
	}
	return left
}
