package errkind

// words are the kinds as programs read them: in problem documents and on the terminal socket.
var words = [...]string{Internal: "internal", Usage: "usage", Signin: "signin", Denied: "denied", NotFound: "not-found",
	Conflict: "conflict", TooMany: "too-many", Unavailable: "unavailable"}

// Word gives the kind's stable word.
func (k Kind) Word() string {
	if k < 0 || int(k) >= len(words) {
		return words[Internal]
	}
	return words[k]
}

// FromWord gives the kind behind a word; Internal for words it does not know.
func FromWord(word string) Kind {
	for k, w := range words {
		if w == word {
			return Kind(k)
		}
	}
	return Internal
}
