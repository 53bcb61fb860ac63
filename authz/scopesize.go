package authz

// MaxScopeSize bounds the actions and templates of a pass, in bytes of their encoding (docs/protocol.md, section 9).
// The rest of the 4 KiB is reserved for the longest login, reason, ticket and name. A test in internal/wire makes a
// pass with all of them.
const MaxScopeSize = 1968

// Size gives the bytes that the entries of the scope take in a pass, without the heads of the two lists
// (docs/protocol.md, section 9).
func (s Scope) Size() int {
	n := 0
	for i := range s.actions {
		n += textSize(len(s.actions[i].String()))
	}
	for _, t := range s.templates {
		n += t.size()
	}
	return n
}

// size gives the bytes of a template: a list of texts and small numbers.
func (t Template) size() int {
	n := headSize(len(t))
	for _, w := range t {
		if w.Placeholder != 0 {
			n++
		} else {
			n += textSize(len(w.Literal))
		}
	}
	return n
}

// textSize and headSize give the bytes of a CBOR text, and of a head (RFC 8949, 3).
func textSize(n int) int { return headSize(n) + n }

func headSize(n int) int {
	switch {
	case n < 24:
		return 1
	case n < 256:
		return 2
	}
	return 3
}
