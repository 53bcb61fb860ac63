package wire

import (
	"errors"

	"github.com/sallyport/sallyport/authz"
)

// SetScope writes a scope into the grant's login, actions and templates. A literal of a template is a text and a
// placeholder is a number, so no text of a command can be read as a placeholder (docs/protocol.md, section 9).
func (g *Grant) SetScope(s authz.Scope) {
	g.Login, g.Actions, g.Templates = s.Login(), s.Actions(), nil
	for _, t := range s.Templates() {
		words := make([]any, len(t))
		for i, w := range t {
			if words[i] = w.Literal; w.Placeholder != 0 {
				words[i] = uint64(w.Placeholder)
			}
		}
		g.Templates = append(g.Templates, words)
	}
}

// scope reads a scope as SetScope writes it. It returns an error for every other encoding.
func (g *Grant) scope() (authz.Scope, error) {
	if g.Actions == nil {
		return authz.Scope{}, errors.New("the list is missing")
	}
	templates := make([]authz.Template, len(g.Templates))
	for i, words := range g.Templates {
		for _, word := range words {
			w, err := templateWord(word)
			if err != nil {
				return authz.Scope{}, err
			}
			templates[i] = append(templates[i], w)
		}
	}
	return authz.ParseScope(g.Login, g.Actions, templates)
}

func templateWord(word any) (authz.Word, error) {
	switch w := word.(type) {
	case string:
		return authz.Word{Literal: w}, nil
	case uint64:
		if w != 0 { // which would read as a literal
			return authz.Word{Placeholder: authz.Placeholder(w)}, nil
		}
	}
	return authz.Word{}, errors.New("a word of a template is neither a text nor the number of a placeholder")
}
