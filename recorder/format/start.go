package format

import (
	"strconv"
	"strings"
)

// Start is the content of a note of kind start: what the gateway requested for a channel.
type Start struct {
	Ch       uint32
	Login    string
	Terminal bool
	Shell    bool   // a shell; otherwise Command
	Command  string // the command line as it was sent
}

// Start reads the text of a note of kind start (docs/recording-format.md, section 4). It returns false if the note is
// of another kind, if the text has another form, or if it names another channel than the note.
func (n *Note) Start() (s Start, ok bool) {
	parts := strings.SplitN(n.Text, "; ", 4)
	if n.Kind != NoteStart || len(parts) != 4 {
		return s, false
	}
	number, named := strings.CutPrefix(parts[0], "channel ")
	number, login, as := strings.Cut(number, " as ")
	ch, err := strconv.ParseUint(number, 10, 32)
	if !named || !as || err != nil || n.Ch != nil && uint64(*n.Ch) != ch {
		return s, false
	}
	s = Start{Ch: uint32(ch), Login: login, Terminal: strings.HasPrefix(parts[1], "terminal "),
		Shell: parts[3] == "a shell"}
	if s.Shell {
		return s, true
	}
	s.Command, ok = strings.CutPrefix(parts[3], "command: ")
	return s, ok
}
