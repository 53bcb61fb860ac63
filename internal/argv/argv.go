// Package argv writes a program and its arguments as one line, for people and for a shell.
//
// What is sent to a device, what its record has and what pages, command line and casts show is the same line. So whoever
// reads it sees where a word ends, and can run it again as it was.
package argv

import "strings"

// Line makes one line of separate words for a POSIX shell (IEEE Std 1003.1, section 2.2): a word that is empty or has a
// character with a meaning to a shell is in single quotes.
func Line(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = w
		if w == "" || strings.Trim(w, plain) != "" {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

// plain are the characters that no shell gives a meaning to.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,"
