package gateway

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/gateway/sessionline"
	"github.com/sallyport/sallyport/internal/argv"
	"github.com/sallyport/sallyport/internal/errkind"
	"github.com/sallyport/sallyport/internal/wire"
)

// Hints for a start that a device, or the size of a terminal, does not allow.
const (
	askOwner  = "The pass or the rules of the machine's owner do not allow it; ask them."
	fitWindow = "Make the window smaller, or work without a terminal: `sallyport shell -T`."
	// askPlainly is for a device that accepts less than this gateway, because its agent is older or newer.
	askPlainly = "Set TERM=" + wire.DefaultTerm + " and LANG=" + wire.DefaultLocale + ", without LC_*, and try again."
)

var errSize = errkind.New(errkind.Usage, "a terminal has 1 to 500 columns and 1 to 300 rows").WithHint(fitWindow)

// checkStart refuses a start that no device accepts, and says why: a malformed command, terminal or environment.
func checkStart(s *sessionline.Start) error {
	if err := checkCommand(s.Argv); err != nil {
		return err
	}
	if p := s.PTY; p != nil {
		if !sessionline.Fits(p.Cols, p.Rows) {
			return errSize
		}
		if err := wire.CheckTerm(p.Type()); err != nil {
			return errkind.New(errkind.Usage, err.Error()).WithHint("Set TERM=" + wire.DefaultTerm + " and ask again.")
		}
	}
	if err := wire.CheckLocale(s.Env); err != nil {
		return errkind.New(errkind.Usage, err.Error()).
			WithHint("Set LANG=" + wire.DefaultLocale + ", unset variables that are not listed, and try again.")
	}
	return nil
}

// maxCommand bounds a command line, in bytes.
const maxCommand = 32 << 10

// checkCommand refuses what the record could not hold as it is. The replacement character stands where a program before
// this one found no UTF-8 and wrote something else: the command would be for another file than the one that was meant.
func checkCommand(words []string) error {
	const hint = "Give the command what is long, or not text, on its standard input."
	if len(argv.Line(words)) > maxCommand {
		return errkind.New(errkind.Usage, "the command is longer than 32 KiB").WithHint(hint)
	}
	for i, w := range words {
		what := ""
		switch {
		case strings.Contains(w, "\x00"):
			what = "has a zero byte"
		case !utf8.ValidString(w) || strings.ContainsRune(w, utf8.RuneError):
			what = "is not UTF-8"
		default:
			continue
		}
		return errkind.New(errkind.Usage, fmt.Sprintf("word %d of the command %s", i+1, what)).WithHint(hint)
	}
	return nil
}
