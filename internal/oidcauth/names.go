package oidcauth

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on claims for people, in characters.
const (
	longestName    = 100
	longestAddress = 320 // RFC 5321: a mailbox of 64, an @ and a domain of 255
)

// shown gives a claim for people, cleaned. Gateway and signer read these claims by it alone, so that a session's row
// and its pass name a person alike.
func (c claims) shown(name string) string {
	if name == "email" {
		return displayable(c.text(name), longestAddress)
	}
	return displayable(c.text(name), longestName)
}

// address gives the mail address, to which notifications are sent. It is empty if the provider says that it has not verified the
// address: the person may have typed somebody else's. Some providers send the word instead of the value.
func (c claims) address() string {
	var verified any
	if json.Unmarshal(c["email_verified"], &verified) == nil && (verified == false || verified == "false") {
		return ""
	}
	return c.shown("email")
}

// lacks reports whether a claim is missing, so that the userinfo endpoint has to be asked for it. A claim for people is
// also missing if nothing of it can be shown.
func (c claims) lacks(name string) bool {
	if slices.Contains(forPeople, name) {
		return c.shown(name) == ""
	}
	return !c.says(name)
}

// nameOf gives the name of a person in lists and in passes: the first of these claims that can be shown.
func nameOf(c claims) string {
	for _, n := range []string{"name", "preferred_username", "email", "sub"} {
		if s := displayable(c.text(n), longestName); s != "" {
			return s
		}
	}
	// Nothing of the subject can be shown as itself. An empty name would hide who it was.
	return displayable(strings.Trim(strconv.QuoteToASCII(c.text("sub")), `"`), longestName)
}

// displayable cleans text that a person may have written into their own account, and cuts it to most characters. It
// removes control and format characters, which could drive a terminal, turn the direction of a line, or make two names
// look alike. It leaves one space of each stretch of white space.
func displayable(text string, most int) string {
	var out []rune
	space := false
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			space = len(out) > 0
			continue
		case !visible(r), len(out) == 0 && unicode.IsMark(r):
			continue
		}
		if space {
			out = append(out, ' ')
		}
		out, space = append(out, r), false
	}
	if len(out) <= most {
		return string(out)
	}
	n := most - 1
	for n > 0 && unicode.IsMark(out[n]) { // a letter goes with its marks
		n--
	}
	return strings.TrimRight(string(out[:n]), " ") + "…"
}

// visible reports whether a character is shown as itself. Some letters and symbols have no shape, such as the fillers
// of Hangul and the empty Braille pattern.
func visible(r rune) bool {
	return unicode.IsGraphic(r) && r != utf8.RuneError &&
		!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != '\u2800'
}
