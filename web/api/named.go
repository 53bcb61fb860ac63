package api

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/id"
	"github.com/sallyport/sallyport/internal/store"
)

// nearness is how well a word names somebody.
type nearness int

const (
	unlike    nearness = iota
	beginning          // of words of the name
	loosely            // the name or one word of it, the user name, the address or its mailbox, the subject
	exactly            // all of one of these, letter by letter: where two differ in case there must be a way to say which
)

// near says how well a word names somebody. Small and large letters are one, also those that are not in English.
func near(p store.Principal, word string) nearness {
	names := []string{p.Name, p.Username, p.Email, p.ID.Subject}
	exact := slices.Contains(names, word)
	word = plain(word)
	is := func(s string) bool { return plain(s) == word }
	mailbox, _, _ := strings.Cut(p.Email, "@")
	switch {
	case word == "":
		return unlike
	case exact:
		return exactly
	case slices.ContainsFunc(append(names, append(strings.Fields(p.Name), mailbox)...), is):
		return loosely
	case strings.Contains(" "+plain(p.Name), " "+word):
		return beginning
	}
	return unlike
}

func plain(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// named finds the one who is meant, where one must be: exactly, or else loosely. Whoever asks reads in the answer who that was.
func named(all []store.Principal, word string) []store.Principal {
	var exact, loose []store.Principal
	for _, p := range all {
		switch near(p, word) {
		case exactly:
			exact = append(exact, p)
		case loosely:
			loose = append(loose, p)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return loose
}

// meant gives the one person who is named, exactly or else loosely.
func meant(people []store.Principal, name string) (store.Principal, error) {
	switch found := named(people, name); len(found) {
	case 0:
		return store.Principal{}, errkind.New(errkind.NotFound, fmt.Sprintf("nobody named %q has signed in here yet", name)).
			WithHint("People are known from their first sign-in on.")
	case 1:
		return found[0], nil
	}
	return store.Principal{}, errkind.New(errkind.Conflict, fmt.Sprintf("more than one person is named %q", name)).
		WithHint("Use the subject instead of the name.")
}

// called finds all whom a word may name, where it narrows a listing.
func called(all []store.Principal, word string) []id.Principal {
	var out []id.Principal
	for _, p := range all {
		if near(p, word) != unlike {
			out = append(out, p.ID)
		}
	}
	return out
}
