package bundle

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// words lists what the pass permits: its exact actions, and its templates as action words with {word} and {number} for
// placeholders. In both, a literal with braces is in quotes.
func (g *grant) words() ([]string, error) {
	switch {
	case g.V < 1 || g.V > 2:
		return nil, fmt.Errorf("its grant is of version %d; this program reads versions 1 and 2", g.V)
	case g.V == 1 && len(g.Templates) > 0:
		return nil, errors.New("its grant of version 1 has templates")
	}
	out := slices.Clone(g.Actions)
	for _, t := range g.Templates {
		words := make([]string, len(t))
		for i, w := range t {
			var err error
			if words[i], err = templateWord(w); err != nil {
				return nil, err
			}
		}
		out = append(out, "run:"+g.Login+" "+strings.Join(words, " "))
	}
	return out, nil
}

func templateWord(word any) (string, error) {
	switch word {
	case uint64(1):
		return "{word}", nil
	case uint64(2):
		return "{number}", nil
	}
	text, ok := word.(string)
	switch {
	case !ok:
		return "", errors.New("a word of a template is neither a text nor a known placeholder")
	case text == "" || strings.ContainsAny(text, ` '\{}`):
		text = "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	return text, nil
}
