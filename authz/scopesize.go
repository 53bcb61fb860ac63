package authz

// MaxScopeSize is how many bytes of a pass its actions and templates may take, as docs/protocol.md (section 9) encodes
// them. The rest of its 4 KiB is kept for the longest login, reason, ticket and name. A test in internal/wire makes
// that pass.
const MaxScopeSize = 1968

// Size gives the bytes that the entries of the scope take in a pass (docs/protocol.md, section 9).
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

// textSize and headSize are those of CBOR (RFC 8949, 3).
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
