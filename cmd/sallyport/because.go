package main

import (
	"fmt"
	"unicode/utf8"
)

// maxBecause is how much the gateway keeps of a reason, in characters.
const maxBecause = 500

// because is a reason as somebody writes it.
type because string

// Validate is called once the flags are read.
func (b because) Validate() error {
	if n := utf8.RuneCountInString(string(b)); n > maxBecause {
		return fmt.Errorf("the text is %d characters long and can have %d; put the rest where others can read it, and name the place", n, maxBecause)
	}
	return nil
}
