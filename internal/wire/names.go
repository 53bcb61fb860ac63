package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkNames walks a text once. encoding/json would take {"a":1,"A":2} for one field set twice. In JSON a string
// before a colon is a name and nothing else is; a text that is no JSON is refused by whoever decodes it next.
func checkNames(data []byte) error {
	var open []names
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if len(open) == MaxDepth {
				return errors.New("json: nested too deep")
			}
			open = append(open, names{})
		case '}', ']':
			open = open[:max(0, len(open)-1)]
		case '"':
			text := quoted(data[i:])
			i += len(text) - 1
			if len(open) == 0 || !isName(data[i+1:]) {
				continue
			}
			if err := open[len(open)-1].add(text); err != nil {
				return err
			}
		}
	}
	return nil
}

// quoted gives the string that data begins with, in its quotes.
func quoted(data []byte) []byte {
	for i := 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return data[:i+1]
		}
	}
	return data
}

func isName(after []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(after, " \t\r\n"), []byte{':'})
}

// names are those of one object. Most have a few; a map keeps the time for many from growing with their square.
type names struct {
	few  []string
	many map[string]bool
}

func (n *names) add(text []byte) error {
	name, err := unquote(text)
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	fold := strings.Map(foldRune, name)
	if n.many[fold] || slices.Contains(n.few, fold) {
		return fmt.Errorf("json: the name %.40q occurs twice", name)
	}
	switch {
	case len(n.few) < 16:
		n.few = append(n.few, fold)
	case n.many == nil:
		n.many = map[string]bool{fold: true}
	default:
		n.many[fold] = true
	}
	return nil
}

func unquote(text []byte) (name string, err error) {
	if !bytes.Contains(text, []byte{'\\'}) && utf8.Valid(text) {
		return string(text[1 : len(text)-1]), nil
	}
	err = json.Unmarshal(text, &name)
	return name, err
}

// foldRune gives one rune for all that differ in case only, also for those that encoding/json takes for the same and
// lower case does not: the long s and the Kelvin sign.
func foldRune(r rune) rune {
	r = unicode.ToLower(r)
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// lowerRune gives the lower-case ASCII letter that encoding/json takes a rune for, if there is one.
func lowerRune(r rune) rune {
	if c := unicode.ToLower(foldRune(r)); c < utf8.RuneSelf {
		return c
	}
	return r
}
