package errkind

// words are the kinds as programs read them: in problem documents and on the terminal socket.
var words = [...]string{Internal: "internal", Usage: "usage", Signin: "signin", Denied: "denied", NotFound: "not-found",
	Conflict: "conflict", TooMany: "too-many", Unavailable: "unavailable"}

// nexts are what anybody can do about an error of a kind whose place says nothing better.
var nexts = [...]string{
	Usage:       "Correct that, and ask again.",
	Signin:      "Sign in again.",
	Denied:      "Whoever administers this gateway can say more.",
	NotFound:    "It may be gone, or not visible to you: look at the list that it should be in.",
	Conflict:    "Look again how it stands: something has changed, or was done already.",
	TooMany:     "Wait a moment, then try again.",
	Unavailable: "Try again in a moment; if it goes on, tell whoever runs the gateway.",
}

func (k Kind) next() string {
	if k < 0 || int(k) >= len(nexts) {
		return ""
	}
	return nexts[k]
}

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
